//! Tables of what is said of needs and devices.

use protocol::{Budget, ByteCount, Fit};

use super::{Estimate, Given, Memory, Need, judge, room};

const MB: u64 = 1_000_000;

fn memory(context: u32, megabytes: u64) -> Memory {
    Memory {
        context,
        weight_bytes: 700 * MB,
        kv_bytes: (megabytes - 700) * MB,
        other_bytes: 0,
        buffer_bytes: u64::from(context) * 1000,
    }
}

/// 850 MB to be downloaded, buffers of 400 MB, and 1200 MB of memory at the usual context.
fn the_need() -> Need {
    Need {
        missing_bytes: 850 * MB,
        buffer_bytes: 400 * MB,
        memory: vec![memory(4096, 1200), memory(2048, 950), memory(512, 800)],
    }
}

fn budget(megabytes: u64) -> Budget {
    Budget {
        assumed_bytes: ByteCount::saturating(megabytes * MB),
        ..Budget::default()
    }
}

fn given(storage: u64, buffer: u64, memory: u64) -> Given {
    Given {
        storage_bytes: Some(storage * MB),
        buffer_bytes: Some(buffer * MB),
        budget: budget(memory),
    }
}

fn too_large(detail: &str) -> Fit {
    Fit::TooLarge {
        detail: detail.to_owned(),
    }
}

#[test]
fn the_longest_context_that_fits_is_found_or_why_there_is_none() {
    let cases = [
        (given(850, 400, 1200), Fit::Fits, 4096),
        (given(850, 400, 1199), Fit::FitsWithContext(2048), 2048),
        (given(850, 400, 949), Fit::FitsWithContext(512), 512),
        (given(850, 400, 800), Fit::FitsWithContext(512), 512),
        (
            given(850, 400, 799),
            too_large(
                "it needs 800 MB of memory with a context of 512 tokens, a page is assumed to get 799 MB",
            ),
            4096,
        ),
        (
            given(849, 400, 1200),
            too_large("the download needs 850 MB, the browser lets 849 MB be stored"),
            4096,
        ),
        (
            given(850, 399, 1200),
            too_large("it needs a buffer of 400 MB, the graphics processor allows 399 MB"),
            4096,
        ),
    ];
    for (given, fit, context) in cases {
        let judged = judge(&the_need(), given);
        assert_eq!(
            (judged.fit, judged.memory.context),
            (fit, context),
            "{given:?}"
        );
    }
}

#[test]
fn a_cache_that_no_buffer_holds_is_made_shorter() {
    let mut need = the_need();
    need.buffer_bytes = MB;
    // 4096 positions take a buffer of 4.096 MB.
    let judged = judge(&need, given(850, 3, 1200));
    assert_eq!(judged.fit, Fit::FitsWithContext(2048));
    let Fit::TooLarge { detail } = judge(
        &need,
        Given {
            buffer_bytes: Some(MB / 4),
            ..given(850, 3, 1200)
        },
    )
    .fit
    else {
        panic!("it fits")
    };
    assert!(detail.contains("a buffer of"), "{detail}");
}

#[test]
fn a_kill_and_a_success_move_the_budget() {
    let with = |worked: u64, killed: Option<u64>| {
        let bytes = |megabytes: u64| ByteCount::saturating(megabytes * MB);
        let given = Given {
            budget: Budget {
                worked_bytes: bytes(worked),
                killed_bytes: killed.map(bytes),
                ..budget(1000)
            },
            ..given(850, 900, 0)
        };
        judge(&the_need(), given).fit
    };
    assert_eq!(with(0, None), Fit::FitsWithContext(2048));
    assert_eq!(with(1200, None), Fit::Fits);
    assert_eq!(with(0, Some(950)), Fit::FitsWithContext(512));
    assert_eq!(
        with(0, Some(800)),
        too_large(
            "it needs 800 MB of memory with a context of 512 tokens, with 800 MB the system has closed Tern before"
        )
    );
}

#[test]
fn what_nobody_tells_is_not_guessed() {
    let no_storage = Given {
        storage_bytes: None,
        ..given(0, 400, 1200)
    };
    assert_eq!(judge(&the_need(), no_storage).fit, Fit::Unknown);
    let stored = Need {
        missing_bytes: 0,
        ..the_need()
    };
    assert_eq!(judge(&stored, no_storage).fit, Fit::Fits);
    let no_adapter = Given {
        buffer_bytes: None,
        ..given(850, 0, 1200)
    };
    assert_eq!(judge(&the_need(), no_adapter).fit, Fit::Unknown);
    // That it needs a shorter context is known all the same.
    let small = Given {
        budget: budget(1000),
        ..no_adapter
    };
    assert_eq!(judge(&the_need(), small).fit, Fit::FitsWithContext(2048));
}

#[test]
fn missing_room_is_told_in_bytes() {
    let missing = |storage| judge(&the_need(), given(storage, 400, 1200)).missing_bytes;
    assert_eq!((missing(849), missing(850), missing(0)), (MB, 0, 850 * MB));
}

#[test]
fn room_is_what_is_allowed_less_what_is_used() {
    let estimate = |usage_bytes, quota_bytes| Estimate {
        usage_bytes,
        quota_bytes,
    };
    assert_eq!(room(estimate(Some(3), Some(10))), Some(7));
    assert_eq!(room(estimate(Some(11), Some(10))), Some(0));
    assert_eq!(room(estimate(None, Some(10))), Some(10));
    assert_eq!(room(estimate(Some(3), None)), None);
}
