//! The program that `cargo xtask serve` starts.
#![allow(clippy::print_stdout, reason = "a command line tool talks to its user")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use clap::Parser;
use serve::{Authority, Help, Names, address, normal_base, router};

/// Serves a folder as a static host would.
#[derive(Debug, Parser)]
struct Options {
    /// The folder
    folder: PathBuf,
    /// Port to listen on; with --https-folder the port of the page that helps to trust the certificate
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address to listen on
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST.into())]
    host: IpAddr,
    /// Path that the site lies below
    #[arg(long, default_value = "/")]
    base: String,
    /// Serve over https, with the certificate authority that is kept in this folder
    #[arg(long)]
    https_folder: Option<PathBuf>,
    /// Port of https
    #[arg(long, default_value_t = 8443)]
    https_port: u16,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let site = router(&options.folder, &options.base)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the server's threads")?;
    runtime.block_on(async {
        match &options.https_folder {
            None => plain(options, site).await,
            Some(folder) => secure(options, site, &Authority::load_or_create(folder)?).await,
        }
    })
}

async fn plain(options: &Options, site: Router) -> Result<()> {
    let listener = listen(options.host, options.port)?;
    let base = normal_base(&options.base);
    let at = address(
        "http",
        &options.host.to_string(),
        listener.local_addr()?.port(),
        &base,
    );
    println!("\nTern is at {at} (Ctrl-C ends it)");
    axum_server::from_tcp(listener)?
        .serve(site.into_make_service())
        .await
        .context("the server stopped")
}

async fn secure(options: &Options, site: Router, authority: &Authority) -> Result<()> {
    let names = Names::find().listening_on(options.host);
    let certificate = authority.issue(&names.all)?;
    let config = RustlsConfig::from_der(certificate.chain, certificate.key)
        .await
        .context("the certificate can't be used")?;
    let (secure, plain) = (
        listen(options.host, options.https_port)?,
        listen(options.host, options.port)?,
    );
    let base = normal_base(&options.base);
    let on_all = |scheme: &str, port: u16, base: &str| -> Vec<String> {
        names
            .reachable
            .iter()
            .map(|name| address(scheme, name, port, base))
            .collect()
    };
    let app = on_all("https", secure.local_addr()?.port(), &base);
    let help = on_all("http", plain.local_addr()?.port(), "");
    println!(
        "\nTern on the local network (Ctrl-C ends it): {}",
        app.join("  ")
    );
    println!(
        "First, once on each iPad, open in Safari and follow the steps there: {}",
        help.join("  ")
    );
    println!(
        "The certificate's SHA-256 fingerprint, to compare on the iPad: {}",
        authority.fingerprint()
    );
    println!(
        "If nothing answers, this computer's firewall may be in the way. More: docs/DEPLOY.md"
    );
    let help = Help {
        certificate: authority.certificate().to_vec(),
        fingerprint: authority.fingerprint(),
        app,
    };
    let helping = axum_server::from_tcp(plain)?.serve(help.router().into_make_service());
    let serving = axum_server::from_tcp_rustls(secure, config)?.serve(site.into_make_service());
    tokio::spawn(helping);
    serving.await.context("the server stopped")
}

fn listen(host: IpAddr, port: u16) -> Result<TcpListener> {
    let address = SocketAddr::new(host, port);
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}; choose another port with --port"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
