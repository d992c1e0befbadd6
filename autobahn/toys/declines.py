"""No flaw: it declines every extension. The suite calls its cases of compression UNIMPLEMENTED; the gate must not let that
pass."""
import sound

sound.serve(sound.Connection)
