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
    for first in ["00001.bin", "manifest.json"] {
        flip(&world, first);
        visit(&world, Script::default(), &[verify(&offer.model_url)]);
        let found = verified(&world);
        assert_eq!(found.broken, [first]);
        assert_eq!(found.fault.unwrap().code, FaultCode::FilesGone);
        // What is to be copied again no longer counts as stored. Nothing else is thrown away.
        assert_eq!(stored(&world).len(), before - 1, "{first}");
    }
}
