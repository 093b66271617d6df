//! A model out of files has nobody to ask when it has gone bad.

use protocol::FaultCode;

use super::{offline, saved, stored, take};
use crate::support::{Script, Tiny, visit};
use crate::verifying::{flip, verified, verify};

#[test]
fn a_copied_model_says_that_its_files_are_needed() {
    let world = offline();
    let offer = take(&world, vec![saved(&Tiny::default())]).unwrap();
    let before = stored(&world).len();
    visit(&world, Script::default(), &[verify(&offer.model_url)]);
    assert!(verified(&world).is_right());
    for (files, first) in [
        (vec!["00001.bin"], "00001.bin"),
        (vec!["00001.bin", "manifest.json"], "manifest.json"),
    ] {
        flip(&world, files[files.len() - 1]);
        visit(&world, Script::default(), &[verify(&offer.model_url)]);
        let found = verified(&world);
        assert_eq!(found.broken, [first]);
        assert_eq!(found.fault.unwrap().code, FaultCode::FilesGone);
        assert_eq!(stored(&world).len(), before, "nothing is thrown away");
    }
}
