//! Servers: the question before one is asked for the first time, and those that were allowed.

use app::{Action, strings};
use leptos::prelude::*;

use super::Page;

/// The question, while there is one, and why the answer did not help.
#[component]
pub(super) fn AllowHost(page: Page) -> impl IntoView {
    let host = page.part(|state| state.host_to_allow().map(str::to_owned));
    let can_change = page.part(app::State::can_change_hosts);
    let is_changing = page.part(|state| state.hosts.changing);
    let problem = page.part(|state| state.hosts.problem.as_ref().map(strings::host_problem));
    let words = move || match (is_changing.get(), host.get()) {
        (true, _) => strings::ALLOWING.to_owned(),
        (false, Some(host)) => strings::allow_host(&host),
        (false, None) => String::new(),
    };
    view! {
        <Show when=move || host.with(Option::is_some)>
            <div class="allow-host" data-testid="allow-host">
                <p>{move || host.get().map(|host| strings::ask_host(&host))}</p>
                <p class="faint">{strings::ALLOW_NOTE}</p>
                <button
                    type="button"
                    class="primary"
                    data-testid="allow"
                    disabled=move || !can_change.get()
                    on:click=move |_| {
                        if let Some(host) = host.get_untracked() {
                            page.act(Action::AllowHost(host));
                        }
                    }
                >
                    {words}
                </button>
                <Show when=move || problem.with(Option::is_some)>
                    <p class="fit bad" role="alert" data-testid="host-problem">
                        {move || problem.get()}
                    </p>
                </Show>
            </div>
        </Show>
    }
}

/// The servers that were allowed.
#[component]
pub(super) fn Hosts(page: Page) -> impl IntoView {
    let hosts = page.part(|state| state.hosts.allowed.clone());
    let can_change = page.part(app::State::can_change_hosts);
    let rows = move || {
        hosts
            .get()
            .into_iter()
            .map(|host| {
                let label = strings::remove_host(&host);
                let shown = strings::host_name(&host).to_owned();
                view! {
                    <div class="line model">
                        <div>
                            <p>{shown}</p>
                        </div>
                        <button
                            type="button"
                            class="plain danger-text"
                            aria-label=label
                            disabled=move || !can_change.get()
                            on:click=move |_| page.act(Action::ForgetHost(host.clone()))
                        >
                            {strings::REMOVE_HOST}
                        </button>
                    </div>
                }
            })
            .collect_view()
    };
    view! {
        <Show when=move || !hosts.with(Vec::is_empty)>
            <section class="group" aria-labelledby="group-hosts">
                <h2 id="group-hosts">{strings::GROUP_HOSTS}</h2>
                <div class="card">{rows}</div>
                <p class="group-note">{strings::HOSTS_NOTE}</p>
            </section>
        </Show>
    }
}
