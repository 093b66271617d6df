//! The wgpu device: adapter choice, limits, features, variant, loss signal.

use crate::Error;
use crate::variant::{Dot, Reduce, Variant};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

/// Tokens of a prefill submit where nothing is known of the device.
pub(crate) const PREFILL_CHUNK: u32 = 128;

/// What the caller wants of the device.
#[derive(Debug, Clone, Default)]
pub struct DeviceOptions {
    /// Part of the adapter's name, any case; none takes the best.
    pub adapter: Option<String>,
    /// Forces a variant instead of the one that the device's features suggest.
    pub variant: Option<Variant>,
    /// Asked after the device was made: did it get subgroups? wgpu's web backend cannot name that feature (gfx-rs/wgpu
    /// issue 10146), so the worker asks the browser itself. Without it, the device's own feature list decides.
    pub subgroups_granted: Option<fn() -> bool>,
}

/// Kind of a failure that came outside a call's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    OutOfMemory,
    Invalid,
}

/// First failure that the device reported outside a call's result.
#[derive(Debug, Default)]
struct Failure {
    lost: Option<String>,
    error: Option<(Kind, String)>,
    /// Who waits for the loss.
    waiter: Option<Waker>,
}

impl Failure {
    /// The device is lost, for this reason if it was not before.
    fn lose(&mut self, reason: impl FnOnce() -> String) {
        self.lost.get_or_insert_with(reason);
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }
}

/// An open device.
#[derive(Debug)]
pub struct Device {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    variant: Variant,
    packed_dot: bool,
    subgroups: bool,
    failure: Arc<Mutex<Failure>>,
}

impl Device {
    /// Opens an adapter with its own limits and with shader-f16, subgroups and timestamps where it has them.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] when none matches, [`Error::NoDevice`] when it refuses, [`Error::Validation`] when a forced
    /// variant is not available.
    pub async fn open(options: &DeviceOptions) -> Result<Self, Error> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = choose_adapter(&instance, options.adapter.as_deref()).await?;
        let info = adapter.get_info();
        let wanted = wgpu::Features::SHADER_F16
            | wgpu::Features::SUBGROUP
            | wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES;
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("tern"),
                required_features: adapter.features() & wanted,
                required_limits: adapter.limits(),
                memory_hints: wgpu::MemoryHints::MemoryUsage,
                ..Default::default()
            })
            .await
            .map_err(|error| Error::NoDevice {
                adapter: info.name.clone(),
                reason: error.to_string(),
            })?;
        let failure = Arc::new(Mutex::new(Failure::default()));
        watch(&device, &failure);
        let packed_dot = instance
            .wgsl_language_features()
            .contains(wgpu::WgslLanguageFeatures::Packed4x8IntegerDotProduct);
        let subgroups = match options.subgroups_granted {
            Some(granted) => granted(),
            None => device.features().contains(wgpu::Features::SUBGROUP),
        };
        let best = Variant {
            dot: if packed_dot { Dot::Packed } else { Dot::Scalar },
            reduce: if subgroups {
                Reduce::Subgroup
            } else {
                Reduce::Shared
            },
        };
        let variant = options.variant.unwrap_or(best);
        let device = Self {
            device,
            queue,
            info,
            variant,
            packed_dot,
            subgroups,
            failure,
        };
        if !device.supports(variant) {
            return Err(Error::Validation {
                doing: format!("choosing variant {variant}"),
                reason: format!("{} offers only up to {best}", device.info.name),
            });
        }
        log::info!("{}", device.describe());
        Ok(device)
    }

    /// Largest storage binding in bytes that [`Device::open`] would get from its adapter, without opening it.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] when none matches.
    pub async fn binding_bytes_offered(options: &DeviceOptions) -> Result<u64, Error> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = choose_adapter(&instance, options.adapter.as_deref()).await?;
        Ok(binding_bytes(&adapter.limits()))
    }

    /// Whether the device can run a variant.
    #[must_use]
    pub fn supports(&self, variant: Variant) -> bool {
        (variant.dot == Dot::Scalar || self.packed_dot)
            && (variant.reduce == Reduce::Shared || self.subgroups)
    }

    /// The variant in use.
    #[must_use]
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// Adapter name.
    #[must_use]
    pub fn adapter_name(&self) -> &str {
        &self.info.name
    }

    /// Whether the adapter computes in software, so that its times say nothing about a GPU.
    #[must_use]
    pub fn is_software(&self) -> bool {
        // Browsers tell the type only of their own fallback, but may name the driver.
        let name = self.info.name.to_lowercase();
        self.info.device_type == wgpu::DeviceType::Cpu
            || ["llvmpipe", "swiftshader"]
                .iter()
                .any(|software| name.contains(software))
    }

    /// What the adapter says of itself.
    #[must_use]
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.info
    }

    /// The raw device, for benchmarks and diagnostics.
    #[must_use]
    pub fn raw(&self) -> (&wgpu::Device, &wgpu::Queue) {
        (&self.device, &self.queue)
    }

    /// Adapter, driver and variant in one line.
    #[must_use]
    pub fn describe(&self) -> String {
        let info = &self.info;
        let name = if info.name.is_empty() {
            "unnamed adapter"
        } else {
            &info.name
        };
        format!(
            "{name} ({:?}, {:?}) {} {}, kernels {}",
            info.backend, info.device_type, info.driver, info.driver_info, self.variant
        )
    }

    /// Largest storage binding in bytes.
    #[must_use]
    pub fn max_binding_bytes(&self) -> u64 {
        binding_bytes(&self.device.limits())
    }

    /// Lanes of a subgroup, where all have the same number of them, else 0.
    #[must_use]
    pub fn subgroup_lanes(&self) -> u32 {
        let (least, most) = (self.info.subgroup_min_size, self.info.subgroup_max_size);
        if least == most && least.is_power_of_two() && least >= 4 {
            least
        } else {
            0
        }
    }

    /// Whether workgroups of 512 invocations are allowed, and were measured to be worth it.
    #[must_use]
    pub fn has_wide_workgroups(&self) -> bool {
        self.is_nvidia() && self.device.limits().max_compute_invocations_per_workgroup >= 512
    }

    /// Tokens of a prefill submit: twice as many where that was measured to be faster, and a few tens of megabytes for their
    /// activations are no matter.
    #[must_use]
    pub fn prefill_chunk(&self) -> u32 {
        if self.is_nvidia() {
            2 * PREFILL_CHUNK
        } else {
            PREFILL_CHUNK
        }
    }

    fn is_nvidia(&self) -> bool {
        const NVIDIA: u32 = 0x10de;
        // Browsers tell names, not numbers.
        self.info.vendor == NVIDIA || self.info.name.to_lowercase().contains("nvidia")
    }

    /// Workgroup memory of one workgroup in bytes.
    #[must_use]
    pub fn workgroup_bytes(&self) -> u32 {
        self.device.limits().max_compute_workgroup_storage_size
    }

    /// The failure that the device has reported since it was opened, if any.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`] or [`Error::Validation`].
    pub fn check(&self, doing: &str) -> Result<(), Error> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &failure.lost {
            return Err(Error::DeviceLost {
                reason: reason.clone(),
            });
        }
        match failure.error.take() {
            None => Ok(()),
            Some((Kind::OutOfMemory, reason)) => Err(Error::OutOfMemory {
                doing: doing.to_owned(),
                reason,
            }),
            Some((_, reason)) => Err(Error::Validation {
                doing: doing.to_owned(),
                reason,
            }),
        }
    }

    /// Marks the device as lost because a call on it failed in a way that only loss explains.
    pub(crate) fn mark_lost(&self, reason: &str) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.lose(|| reason.to_owned());
    }

    /// Completes when the device is known to be lost, with the reason as far as there is one. Only the last caller is woken.
    pub async fn lost(&self) -> String {
        poll_fn(|context| {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(reason) = &failure.lost {
                return Poll::Ready(reason.clone());
            }
            failure.waiter = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Gives the device back to the driver: everything on it is freed at once.
    pub fn destroy(&self) {
        self.device.destroy();
    }
}

/// The adapter whose name holds `wanted`, or the best one: a discrete GPU before an integrated one before software.
/// Largest storage binding in bytes.
fn binding_bytes(limits: &wgpu::Limits) -> u64 {
    limits
        .max_storage_buffer_binding_size
        .min(limits.max_buffer_size)
}

async fn choose_adapter(
    instance: &wgpu::Instance,
    wanted: Option<&str>,
) -> Result<wgpu::Adapter, Error> {
    #[cfg(target_arch = "wasm32")]
    {
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        instance
            .request_adapter(&options)
            .await
            .map_err(|error| Error::NoAdapter {
                wanted: wanted.unwrap_or("any").to_owned(),
                available: error.to_string(),
            })
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        let adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
        let names: Vec<String> = adapters.iter().map(|a| a.get_info().name).collect();
        let fits =
            |name: &str| wanted.is_none_or(|w| name.to_lowercase().contains(&w.to_lowercase()));
        adapters
            .into_iter()
            .filter(|adapter| fits(&adapter.get_info().name))
            .min_by_key(|adapter| match adapter.get_info().device_type {
                wgpu::DeviceType::DiscreteGpu => 0,
                wgpu::DeviceType::IntegratedGpu => 1,
                wgpu::DeviceType::VirtualGpu => 2,
                wgpu::DeviceType::Cpu => 3,
                wgpu::DeviceType::Other => 4,
            })
            .ok_or_else(|| Error::NoAdapter {
                wanted: wanted.unwrap_or("any").to_owned(),
                available: if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                },
            })
    }
}

/// Routes loss and stray errors into `failure`, instead of wgpu's default of panicking.
fn watch(device: &wgpu::Device, failure: &Arc<Mutex<Failure>>) {
    let lost = Arc::clone(failure);
    device.set_device_lost_callback(move |reason, message| {
        let mut failure = lost.lock().unwrap_or_else(PoisonError::into_inner);
        failure.lose(|| format!("{reason:?}: {message}"));
    });
    let stray = Arc::clone(failure);
    device.on_uncaptured_error(Arc::new(move |error| {
        log::error!("{error}");
        let kind = if matches!(error, wgpu::Error::OutOfMemory { .. }) {
            Kind::OutOfMemory
        } else {
            Kind::Invalid
        };
        let mut failure = stray.lock().unwrap_or_else(PoisonError::into_inner);
        failure
            .error
            .get_or_insert_with(|| (kind, error.to_string()));
    }));
}
