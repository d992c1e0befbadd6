//! From the slices of a queue to records.

use std::io::IoSlice;

use rustls::unbuffered::EncryptError;

use super::session::Encrypt;

/// Plaintext that is encrypted for one write. What the kernel does not take of it is kept as it is, encrypted.
pub(super) const WRITE: usize = 64 * 1024;
/// Plaintext of one record (RFC 8446, section 5.1).
const FRAGMENT: usize = 16 * 1024;

/// Encrypts up to [`WRITE`] bytes of `slices` into `tx`; small ones are gathered, for each record costs some 22 bytes and
/// as much time as some hundred more.
pub(super) fn encrypt_all(
    encrypt: &mut dyn Encrypt,
    slices: &[IoSlice<'_>],
    gather: &mut Vec<u8>,
    tx: &mut Vec<u8>,
    used: &mut usize,
) -> Result<usize, EncryptError> {
    let mut taken = 0;
    gather.clear();
    for (at, slice) in slices.iter().enumerate() {
        let mut rest = &slice[..slice.len().min(WRITE - taken)];
        taken += rest.len();
        let is_last = at + 1 == slices.len() || taken == WRITE;
        while !rest.is_empty() {
            // A record straight from the queue: whole ones, or the last.
            let whole = if is_last { rest.len() } else { rest.len() - rest.len() % FRAGMENT };
            if gather.is_empty() && whole > 0 {
                encrypt_one(encrypt, &rest[..whole], tx, used)?;
                rest = &rest[whole..];
                continue;
            }
            let (fits, more) = rest.split_at(rest.len().min(FRAGMENT - gather.len()));
            gather.extend_from_slice(fits);
            rest = more;
            if gather.len() == FRAGMENT {
                encrypt_one(encrypt, gather, tx, used)?;
                gather.clear();
            }
        }
        if taken == WRITE {
            break;
        }
    }
    if !gather.is_empty() {
        encrypt_one(encrypt, gather, tx, used)?;
        gather.clear();
    }
    Ok(taken)
}

fn encrypt_one(
    encrypt: &mut dyn Encrypt,
    plaintext: &[u8],
    tx: &mut Vec<u8>,
    used: &mut usize,
) -> Result<(), EncryptError> {
    loop {
        match encrypt.encrypt(plaintext, &mut tx[*used..]) {
            Ok(written) => {
                *used += written;
                return Ok(());
            }
            Err(EncryptError::InsufficientSize(size)) if *used + size.required_size > tx.len() => {
                tx.resize(*used + size.required_size, 0);
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record is what was encrypted at once, behind its length in four bytes.
    #[derive(Default)]
    struct Plain {
        records: Vec<usize>,
    }

    impl Encrypt for Plain {
        fn encrypt(&mut self, plaintext: &[u8], out: &mut [u8]) -> Result<usize, EncryptError> {
            let mut used = 0;
            for record in plaintext.chunks(FRAGMENT) {
                if out.len() < used + record.len() {
                    let required_size = plaintext.len();
                    return Err(EncryptError::InsufficientSize(rustls::unbuffered::InsufficientSizeError {
                        required_size,
                    }));
                }
                out[used..used + record.len()].copy_from_slice(record);
                used += record.len();
                self.records.push(record.len());
            }
            Ok(used)
        }

        fn close(&mut self, _out: &mut [u8]) -> Result<usize, EncryptError> {
            Ok(0)
        }
    }

    #[test]
    fn any_slices_become_few_records_in_order() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at * 7 + at / 256) as u8).collect();
        for (lengths, expected) in [
            (&[2, 10][..], &[12][..]),
            (&[4, FRAGMENT], &[FRAGMENT, 4]),
            (&[FRAGMENT, 4], &[FRAGMENT, 4]),
            (&[10, FRAGMENT - 10, 10], &[FRAGMENT, 10]),
            (&[100; 64], &[6400]),
            (&[40_000], &[FRAGMENT, FRAGMENT, 7232]),
            (&[40_000, 1], &[FRAGMENT, FRAGMENT, 7233]),
            (&[200_000], &[FRAGMENT; 4]),
            (&[WRITE - 1, 2], &[FRAGMENT; 4]),
            (&[0, 5, 0], &[5]),
            (&[], &[]),
        ] {
            let mut at = 0;
            let slices: Vec<_> = lengths
                .iter()
                .map(|length| {
                    at += length;
                    IoSlice::new(&bytes[at - length..at])
                })
                .collect();
            let (mut plain, mut used) = (Plain::default(), 0);
            let (mut tx, mut gather) = (vec![0; 100], Vec::new());
            let taken = encrypt_all(&mut plain, &slices, &mut gather, &mut tx, &mut used).unwrap();
            assert_eq!((taken, used), (at.min(WRITE), at.min(WRITE)), "{lengths:?}");
            assert!(tx[..used] == bytes[..used], "{lengths:?}");
            assert_eq!(plain.records, expected, "{lengths:?}");
        }
    }
}
