//! `naru.yaml` and `Procfile`: services with names of their own, or an error with its place.

#![no_main]

use kernel::{Name, Result};
use libfuzzer_sys::fuzz_target;
use orchestration_service::Service;
use orchestration_service::fuzz::{procfile, yaml};
use std::collections::BTreeSet;

fn sound(read: Result<Vec<(Name, Service)>>) {
    match read {
        Ok(all) => {
            let names: BTreeSet<&Name> = all.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), all.len());
            assert!(all.iter().all(|(_, service)| !service.command.trim().is_empty()));
        }
        Err(error) => {
            let place = error.place().expect("an error of a file has its place");
            assert!(place.line > 0 && place.column > 0, "{place}");
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    sound(yaml(bytes));
    sound(procfile(bytes));
});
