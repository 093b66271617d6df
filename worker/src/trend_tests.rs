use super::{Memory, SLOW_MILLIS, Speed, Trend, WINDOW_MILLIS, Window};

/// A device that makes tokens, and a clock.
struct Maker {
    trend: Trend,
    now: f64,
    context: u32,
    windows: Vec<Window>,
}

impl Maker {
    fn new() -> Self {
        let mut maker = Self {
            trend: Trend::default(),
            now: 1000.0,
            context: 20,
            windows: Vec::new(),
        };
        maker.begin();
        maker
    }

    /// Another answer, by a model whose cache is a third of its weights.
    fn begin(&mut self) {
        let memory = Memory {
            weight_bytes: 300,
            kv_bytes: 100,
            activation_bytes: 0,
        };
        self.trend.begin(memory, 4096);
    }

    /// Makes tokens for `seconds`; `millis` says how long the next one takes, by its number.
    fn run(&mut self, seconds: f64, mut millis: impl FnMut(u32) -> f64) -> Vec<Option<bool>> {
        let (end, first) = (self.now + seconds * 1000.0, self.windows.len());
        while self.now < end {
            self.context += 1;
            self.now += millis(self.context);
            self.windows
                .extend(self.trend.token(self.now, self.context as usize));
        }
        let changes = self.windows[first..].iter().map(|window| window.change);
        changes.filter(Option::is_some).collect()
    }
}

#[test]
fn a_sustained_slowdown_is_told_once_and_so_is_its_end() {
    for fast in [4.0, 25.0, 300.0] {
        let mut maker = Maker::new();
        assert_eq!(maker.run(20.0, |_| fast), []);
        let began = maker.now;
        assert_eq!(maker.run(60.0, |_| 2.0 * fast), [Some(true)]);
        let told = maker.windows.iter().position(|w| w.change.is_some());
        let slow = maker.windows[..=told.unwrap()]
            .iter()
            .filter(|window| window.speed == Speed::Slow);
        assert!(slow.count() as f64 * WINDOW_MILLIS >= SLOW_MILLIS - WINDOW_MILLIS);
        assert!(maker.now - began >= SLOW_MILLIS);
        assert_eq!(maker.run(20.0, |_| 1.1 * fast), [Some(false)]);
        assert_eq!(maker.run(20.0, |_| fast), []);
    }
}

#[test]
fn what_is_short_or_slight_is_not_told() {
    let mut maker = Maker::new();
    maker.run(10.0, |_| 20.0);
    for _ in 0..5 {
        assert_eq!(maker.run(7.0, |_| 60.0), [], "a few seconds");
        assert_eq!(maker.run(7.0, |_| 20.0), []);
    }
    assert_eq!(maker.run(120.0, |_| 30.0), [], "two thirds of the rate");
    // Between the two borders, and back and forth across one of them.
    let mut maker = Maker::new();
    maker.run(10.0, |_| 20.0);
    assert_eq!(maker.run(30.0, |_| 50.0), [Some(true)]);
    for _ in 0..10 {
        maker.context = 600;
        assert_eq!(maker.run(3.0, |_| 28.0), [], "nothing flickers");
        assert_eq!(maker.run(3.0, |_| 40.0), []);
    }
    assert_eq!(maker.run(10.0, |_| 20.0), [Some(false)]);
}

#[test]
fn noise_pauses_and_pairs_are_no_slowdown() {
    let mut maker = Maker::new();
    // Results that are read two at a time.
    let pairs = |token: u32| if token.is_multiple_of(2) { 0.0 } else { 40.0 };
    assert_eq!(maker.run(30.0, pairs), []);
    // Every fifth token waits for something; half a minute of it.
    let noisy = |token: u32| if token.is_multiple_of(5) { 200.0 } else { 20.0 };
    assert_eq!(maker.run(30.0, noisy), []);
    // A page that is frozen again and again.
    for _ in 0..20 {
        maker.now += 600_000.0;
        assert_eq!(maker.run(3.0, |_| 20.0), []);
    }
    assert!(maker.windows.iter().all(|w| w.speed != Speed::Slow));
}

#[test]
fn a_growing_context_is_no_slowdown_and_hides_none() {
    // Attention takes its share, or nothing.
    for share in [0.0, 0.33, 0.5] {
        let grown = |context: u32| 10.0 * (1.0 + share * f64::from(context) / 4096.0);
        let mut maker = Maker::new();
        assert_eq!(maker.run(50.0, grown), []);
        assert!(maker.context > 3000, "{}", maker.context);
        assert_eq!(maker.run(30.0, |c| 2.5 * grown(c)), [Some(true)]);
        // A short context again, of which more is known.
        maker.context = 100;
        maker.begin();
        assert_eq!(maker.run(20.0, grown), []);
        // A long one of which nothing is known.
        let mut maker = Maker::new();
        maker.run(6.0, grown);
        maker.context = 3000;
        assert_eq!(maker.run(20.0, grown), []);
        assert_eq!(maker.run(40.0, |c| 3.0 * grown(c)), [Some(true)]);
    }
}

#[test]
fn nobody_gets_used_to_a_device_that_becomes_slow_little_by_little() {
    let mut maker = Maker::new();
    let mut millis = 20.0;
    let changes = maker.run(180.0, |_| {
        millis = f64::min(millis * 1.0005, 60.0);
        millis
    });
    assert_eq!(changes, [Some(true)]);
}

#[test]
fn short_answers_of_a_slow_device_add_up_and_waits_of_our_own_do_not_count() {
    let mut maker = Maker::new();
    maker.run(10.0, |_| 20.0);
    for _ in 0..2 {
        maker.begin();
        maker.context = 30;
        assert_eq!(maker.run(4.5, |_| 50.0), []);
    }
    maker.begin();
    assert_eq!(maker.run(4.5, |_| 50.0), [Some(true)]);
    assert!(maker.trend.rest(), "it counted as slow");
    assert!(!maker.trend.rest());
    // A cap rests before every token.
    let windows = maker.windows.len();
    for _ in 0..200 {
        maker.trend.rest();
        maker.now += 100.0;
        let window = maker.trend.token(maker.now, 50);
        assert_eq!(window, None);
    }
    assert_eq!(maker.windows.len(), windows);
}

#[test]
fn tokens_that_come_in_groups_are_timed_as_if_they_did_not() {
    for (group, each) in [(1, 20.0), (2, 20.0), (4, 4.0), (8, 1.0), (8, 1.9)] {
        let mut maker = Maker::new();
        let in_groups = |each: f64| {
            move |n: u32| match n % group {
                0 => each * f64::from(group),
                _ => 0.0,
            }
        };
        assert_eq!(maker.run(20.0, in_groups(each)), []);
        let window = *maker.windows.last().unwrap();
        assert!((window.millis / each - 1.0).abs() < 0.01, "{window:?}");
        assert_eq!(window.percent, 100);
        assert_eq!(maker.run(30.0, in_groups(2.5 * each)), [Some(true)]);
        let slow = maker.windows.last().unwrap().millis / (2.5 * each);
        assert!((slow - 1.0).abs() < 0.01, "{group} of {each} ms: {slow}");
        // Smaller groups, as it is slow, and as fast as ever: the size says nothing.
        let alone = move |_: u32| each;
        assert_eq!(maker.run(20.0, alone), [Some(false)]);
    }
}
