//! The worker's binary. In a browser it starts the runtime; natively there is nothing to start.

fn main() {
    #[cfg(target_arch = "wasm32")]
    worker::web::start();
}
