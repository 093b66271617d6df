//! Memory of a conversion is bounded whatever the size of the checkpoint. One test alone in its process, since it looks at
//! the memory of the whole process.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::ops::ControlFlow;

use fixtures::{Shape, TempDir, anonymous_bytes, peak_anonymous_bytes, write_synthetic_checkpoint};
use model::convert::{ConvertOptions, convert_folder};
use model::package::verify;
use model::source::FolderSource;

/// The matrices of the 2B-4T model, the largest 17.7 million codes, with fewer layers and a smaller vocabulary.
#[test]
fn conversion_takes_a_fraction_of_the_checkpoint() {
    let shape = Shape {
        layers: 3,
        vocab: 24_000,
        ..Shape::BITNET_2B_4T
    };
    let folder = TempDir::new("memory");
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let bytes = write_synthetic_checkpoint(&input, &shape, 1);
    assert!(bytes > 170_000_000, "{bytes}");
    let before = anonymous_bytes();
    let (manifest, peak) = peak_anonymous_bytes(|| {
        convert_folder(
            &input,
            &output,
            false,
            &ConvertOptions::new("test"),
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap()
    });
    assert!(manifest.shards.len() > 10);
    let verified = verify(&FolderSource::new(&output).unwrap(), &mut |_, _| {
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(verified.shards, manifest.shards.len());
    // Shards that are being filled (two or three of 8 MiB), the packed tensor and its result (4.4 MB each), 8 MiB of
    // embedding rows with their result.
    match (before, peak) {
        (Some(before), Some(peak)) => {
            let growth = peak.saturating_sub(before);
            assert!(
                growth < 80_000_000,
                "conversion took {growth} bytes for a checkpoint of {bytes}"
            );
        }
        _ if cfg!(target_os = "linux") => panic!("Linux tells RssAnon"),
        _ => eprintln!("this system does not tell anonymous memory: nothing was compared"),
    }
}
