//! Hosts that nobody has allowed.

use std::rc::Rc;

use crate::disk::{outcome, visit_and_load};
use crate::support::{BASE_URL, LOAD, Mishap, Script, World, fault, visit};
use protocol::{FaultCode, Origin, Outcome, Request, RequestId};
use worker::Forbidden;

const STORE: &str = "https://store.example";

fn forbid(world: &World, ending: &'static str, forbidden: Forbidden) {
    let mut plans = world.network.mishaps.borrow_mut();
    plans.insert(ending, [Mishap::Forbidden(forbidden)].into());
}

#[test]
fn a_look_at_a_host_that_is_not_allowed_names_it_at_once() {
    let world = Rc::new(World::served());
    let host = Origin::parse(STORE).unwrap();
    forbid(&world, "manifest.json", Forbidden::Host(host));
    let id = RequestId(1);
    let inspect = Request::Inspect {
        id,
        model_url: BASE_URL.to_owned(),
    };
    visit(&world, Script::default(), std::slice::from_ref(&inspect));
    let fault = fault(&world, id);
    assert_eq!(
        (fault.code, fault.host.as_deref()),
        (FaultCode::HostNotAllowed, Some(STORE))
    );
    assert_eq!(world.network.asked.borrow().len(), 1, "it was asked again");
    // Once it is allowed, the same request is answered.
    visit(&world, Script::default(), &[inspect]);
    assert!(matches!(outcome(&world, id), Outcome::Inspected(_)));
}

#[test]
fn a_download_that_is_redirected_to_such_a_host_ends_and_goes_on_later() {
    let world = Rc::new(World::served());
    let redirect = Forbidden::Redirect {
        from: "https://host".to_owned(),
        to: None,
    };
    forbid(&world, "00002.bin", redirect);
    visit_and_load(&world);
    let refused = fault(&world, LOAD);
    assert_eq!(
        (refused.code, refused.host),
        (FaultCode::HostNotAllowed, None)
    );
    let asked = |ending: &str| {
        let asked = world.network.asked.borrow();
        asked.iter().filter(|ask| ask.url.ends_with(ending)).count()
    };
    assert_eq!(asked("00002.bin"), 1, "it was asked again");
    visit_and_load(&world);
    assert!(matches!(outcome(&world, LOAD), Outcome::Loaded(_)));
    assert_eq!(asked("00000.bin"), 0, "what was stored came again");
}
