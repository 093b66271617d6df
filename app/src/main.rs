//! The page. In a browser it draws the state and performs its effects; natively there is nothing to draw.

#[cfg(target_arch = "wasm32")]
mod bridge;
#[cfg(target_arch = "wasm32")]
#[allow(
    unreachable_pub,
    reason = "the component macro makes functions public inside private modules"
)]
mod components;
#[cfg(target_arch = "wasm32")]
mod db;
#[cfg(target_arch = "wasm32")]
mod debug;
#[cfg(target_arch = "wasm32")]
mod handles;
#[cfg(target_arch = "wasm32")]
mod page;
#[cfg(target_arch = "wasm32")]
mod platform;
#[cfg(target_arch = "wasm32")]
mod pwa;
#[cfg(target_arch = "wasm32")]
#[allow(
    unreachable_pub,
    reason = "the component macro makes functions public inside private modules"
)]
mod views;

fn main() {
    #[cfg(target_arch = "wasm32")]
    views::mount();
}
