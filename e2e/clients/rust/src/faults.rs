//! What the library and the types had to object to: nothing, if the server writes what it should.
use std::sync::Mutex;

use log::{Level, Log, Metadata, Record};

struct Faults(Mutex<Vec<String>>);

static FAULTS: Faults = Faults(Mutex::new(Vec::new()));

/// tokio-xmpp drops a stanza that its types refuse, and says so in its log alone.
impl Log for Faults {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= Level::Warn && metadata.target().starts_with("tokio_xmpp")
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            add(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

pub fn watch() {
    log::set_logger(&FAULTS).expect("no other logger");
    log::set_max_level(log::LevelFilter::Warn);
}

pub fn add(fault: String) {
    FAULTS.0.lock().expect("a lock").push(fault);
}

/// Those since the last call.
pub fn take() -> Vec<String> {
    std::mem::take(&mut *FAULTS.0.lock().expect("a lock"))
}
