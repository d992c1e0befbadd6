//! What most connections lack: a single word of each leads to all of it.
//!
//! Methods of the field, not of the connection: what they borrow is borrowed alone.

#[cfg(feature = "deflate")]
use super::deflate::Deflate;
use super::{backlog::Backlog, ending::Ending, masking_keys::MaskingKeys, stats::Counting, watch::Watch};

#[derive(Debug, Default)]
pub(super) struct Rare(Option<Box<Parts>>);

/// Boxed each, but for the subprotocol, which many servers agree on and nothing else of these.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// A client has masking keys.
    pub(super) keys: Option<Box<MaskingKeys>>,
    pub(super) subprotocol: Option<Box<str>>,
    pub(super) ending: Option<Box<Ending>>,
    /// What waits apart for a slow peer, and what was dropped of it.
    pub(super) backlog: Option<Box<Backlog>>,
    pub(super) watch: Option<Box<Watch>>,
    pub(super) counting: Option<Box<Counting>>,
    #[cfg(feature = "deflate")]
    pub(super) deflate: Option<Box<Deflate>>,
}

impl Rare {
    pub(super) fn new(parts: Parts) -> Self {
        Self((!parts.is_empty()).then(|| Box::new(parts)))
    }

    /// Nothing here has to do with what arrives and is to be handed out.
    #[inline]
    pub(super) fn lets_receive(&self) -> bool {
        self.0.as_ref().is_none_or(|parts| {
            let Parts { watch, counting, backlog, .. } = &**parts;
            watch.is_none() && counting.is_none() && backlog.is_none()
        })
    }

    /// Nothing here has to do with what is to be sent, but for the backlog: whether there is room is asked in any case.
    #[inline]
    pub(super) fn lets_send(&self) -> bool {
        self.0.as_ref().is_none_or(|parts| {
            let Parts { keys, watch, counting, .. } = &**parts;
            #[cfg(feature = "deflate")]
            let may_compress = parts.deflate.is_some();
            #[cfg(not(feature = "deflate"))]
            let may_compress = false;
            keys.is_none() && watch.is_none() && counting.is_none() && !may_compress
        })
    }

    /// For several of them at once.
    #[inline]
    pub(super) fn parts(&mut self) -> Option<&mut Parts> {
        self.0.as_deref_mut()
    }

    #[inline]
    pub(super) fn is_client(&self) -> bool {
        self.0.as_ref().is_some_and(|parts| parts.keys.is_some())
    }

    /// 5.3: a fresh masking key, of a client.
    #[inline]
    pub(super) fn next_mask(&mut self) -> Option<[u8; 4]> {
        Some((self.0.as_mut()?.keys.as_mut()?.0)())
    }

    pub(super) fn subprotocol(&self) -> Option<&str> {
        self.0.as_ref()?.subprotocol.as_deref()
    }

    pub(super) fn ending(&self) -> Option<&Ending> {
        self.0.as_ref()?.ending.as_deref()
    }

    pub(super) fn ending_or_default(&mut self) -> &mut Ending {
        self.0.get_or_insert_default().ending.get_or_insert_default()
    }

    #[inline]
    pub(super) fn backlog(&self) -> Option<&Backlog> {
        self.0.as_ref()?.backlog.as_deref()
    }

    #[inline]
    pub(super) fn backlog_mut(&mut self) -> Option<&mut Backlog> {
        self.0.as_mut()?.backlog.as_deref_mut()
    }

    pub(super) fn backlog_or_default(&mut self) -> &mut Backlog {
        self.0.get_or_insert_default().backlog.get_or_insert_default()
    }

    pub(super) fn remove_backlog(&mut self) {
        if let Some(parts) = &mut self.0 {
            parts.backlog = None;
        }
        self.tidy();
    }

    #[inline]
    pub(super) fn watch(&mut self) -> Option<&mut Watch> {
        self.0.as_mut()?.watch.as_deref_mut()
    }

    pub(super) fn watch_or_default(&mut self) -> &mut Watch {
        self.0.get_or_insert_default().watch.get_or_insert_default()
    }

    pub(super) fn remove_watch(&mut self) {
        if let Some(parts) = &mut self.0 {
            parts.watch = None;
        }
        self.tidy();
    }

    #[inline]
    pub(super) fn counting(&self) -> Option<&Counting> {
        self.0.as_ref()?.counting.as_deref()
    }

    #[inline]
    pub(super) fn counting_mut(&mut self) -> Option<&mut Counting> {
        self.0.as_mut()?.counting.as_deref_mut()
    }

    #[cfg(feature = "deflate")]
    #[inline]
    pub(super) fn deflate(&self) -> Option<&Deflate> {
        self.0.as_ref()?.deflate.as_deref()
    }

    #[cfg(feature = "deflate")]
    #[inline]
    pub(super) fn deflate_mut(&mut self) -> Option<&mut Deflate> {
        self.0.as_mut()?.deflate.as_deref_mut()
    }

    /// A connection of which nothing is rare any more is small again.
    fn tidy(&mut self) {
        self.0.take_if(|parts| parts.is_empty());
    }
}

impl Parts {
    fn is_empty(&self) -> bool {
        let Parts { keys, subprotocol, ending, backlog, watch, counting, .. } = self;
        #[cfg(feature = "deflate")]
        let compresses = self.deflate.is_some();
        #[cfg(not(feature = "deflate"))]
        let compresses = false;
        let told = keys.is_none() && subprotocol.is_none() && ending.is_none();
        told && backlog.is_none() && watch.is_none() && counting.is_none() && !compresses
    }
}
