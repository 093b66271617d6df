//! Timings of the sweep.

use super::ReadRow;
use super::pipelines::Pipelines;
use super::plan::Kernel;
use super::stage::{Stage, bind};
use crate::Error;
use crate::bench::rig::Rig;
use crate::bench::timer::median;

/// Median of the passes after the first.
fn median_after_first(pass_seconds: &[f64]) -> f64 {
    median(
        pass_seconds
            .get(1..)
            .filter(|timed| !timed.is_empty())
            .unwrap_or(pass_seconds),
    )
}

/// Times kernels on a stage.
pub(super) struct Measure<'a> {
    pub(super) rig: &'a Rig,
    pub(super) pipelines: &'a Pipelines,
    pub(super) passes: u32,
}

impl Measure<'_> {
    /// Keeps the device busy for a quarter of a second, so that its clocks are up when the timing starts.
    pub(super) fn warm_up(&self, stage: &Stage) -> Result<(), Error> {
        let start = self.rig.now();
        while self.rig.now() - start < 0.25 {
            self.read_everything(stage)?;
        }
        Ok(())
    }

    /// Seconds of a dispatch of `kernel`, and whether the checked copies are right.
    pub(super) fn kernel(&self, stage: &Stage, kernel: &Kernel) -> Result<(f64, bool), Error> {
        let Some(pipeline) = self.pipelines.get(kernel, stage.matrix.n_cols) else {
            return Err(Error::Order {
                what: "an interleave kernel was timed before its pipeline was made",
            });
        };
        let groups = stage.groups(self.rig, self.pipelines);
        let workgroups = stage.matrix.n_rows / kernel.rows_per_workgroup();
        let ranges: Vec<_> = stage
            .expected
            .iter()
            .map(|(copy, _)| {
                (
                    stage.out_stride * u64::from(*copy),
                    u64::from(stage.matrix.n_rows),
                )
            })
            .collect();
        let record = |pass: &mut wgpu::ComputePass<'_>| {
            pass.set_pipeline(&pipeline);
            for group in groups {
                pass.set_bind_group(0, group, &[]);
                pass.dispatch_workgroups(workgroups, 1, 1);
            }
        };
        let timing = self.rig.checked("timing an interleave kernel", || {
            self.rig.time(self.passes + 1, record, &stage.out, &ranges)
        })??;
        let verified = timing
            .words
            .iter()
            .zip(&stage.expected)
            .all(|(got, (_, expected))| got == expected);
        Ok((
            median_after_first(&timing.pass_seconds) / f64::from(stage.n_copies),
            verified,
        ))
    }

    /// The fastest plain read of the stage's copies, one dispatch a copy with barriers between.
    pub(super) fn read(&self, stage: &Stage) -> Result<ReadRow, Error> {
        let n_vec4 = stage.matrix.n_rows * stage.matrix.n_quads();
        let mut best: Option<ReadRow> = None;
        for (workgroup, loads, pipeline) in &self.pipelines.reads {
            let layout = pipeline.get_bind_group_layout(0);
            let groups: Vec<_> = (0..stage.n_copies)
                .map(|copy| {
                    let entries = [
                        (0, stage.copy_of_codes(copy)),
                        (1, stage.read_out.as_entire_binding()),
                    ];
                    bind(self.rig, &layout, &entries)
                })
                .collect();
            let workgroups = n_vec4.div_ceil(workgroup * loads);
            let record = |pass: &mut wgpu::ComputePass<'_>| {
                pass.set_pipeline(pipeline);
                for group in &groups {
                    pass.set_bind_group(0, group, &[]);
                    pass.dispatch_workgroups(workgroups, 1, 1);
                }
            };
            let ranges = [(0, u64::from(workgroups * workgroup))];
            let timing = self.rig.checked("timing the read kernel", || {
                self.rig
                    .time(self.passes + 1, record, &stage.read_out, &ranges)
            })??;
            // All copies write to the same place, so the last one's sums are left.
            let verified = timing.words[0].iter().fold(0, |acc, word| acc ^ word) == stage.checksum;
            let seconds = median_after_first(&timing.pass_seconds) / f64::from(stage.n_copies);
            let row = ReadRow {
                matrix: stage.matrix,
                bytes: stage.matrix.bytes(),
                copies: stage.n_copies,
                workgroup: *workgroup,
                loads: *loads,
                seconds,
                verified,
            };
            if best
                .as_ref()
                .is_none_or(|best| (!best.verified, best.seconds) > (!verified, seconds))
            {
                best = Some(row);
            }
        }
        best.ok_or(Error::Order {
            what: "no read kernel was made",
        })
    }

    /// Bytes a second of one plain read over all copies together.
    pub(super) fn read_everything(&self, stage: &Stage) -> Result<f64, Error> {
        let bytes = stage.matrix.bytes() * u64::from(stage.n_copies);
        let mut best = f64::INFINITY;
        for (workgroup, loads, pipeline) in &self.pipelines.reads {
            let workgroups = (bytes / 16).div_ceil(u64::from(workgroup * loads));
            if workgroups > 65535 {
                continue;
            }
            let layout = pipeline.get_bind_group_layout(0);
            let entries = [
                (0, stage.codes.as_entire_binding()),
                (1, stage.read_out.as_entire_binding()),
            ];
            let group = bind(self.rig, &layout, &entries);
            let record = |pass: &mut wgpu::ComputePass<'_>| {
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, &group, &[]);
                pass.dispatch_workgroups(workgroups as u32, 1, 1);
            };
            let timing = self.rig.checked("timing the read kernel", || {
                self.rig
                    .time(self.passes + 1, record, &stage.read_out, &[(0, 1)])
            })??;
            best = best.min(median_after_first(&timing.pass_seconds));
        }
        Ok(bytes as f64 / best)
    }

    /// Seconds of a dispatch that reads one vec4 and depends on the one before.
    pub(super) fn empty_dispatch(&self, stage: &Stage) -> Result<f64, Error> {
        const N: u32 = 256;
        let Some((_, _, pipeline)) = self.pipelines.reads.first() else {
            return Ok(f64::NAN);
        };
        let layout = pipeline.get_bind_group_layout(0);
        let group = bind(
            self.rig,
            &layout,
            &[
                (0, stage.copy_of_codes(0)),
                (1, stage.read_out.as_entire_binding()),
            ],
        );
        let record = |pass: &mut wgpu::ComputePass<'_>| {
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &group, &[]);
            for _ in 0..N {
                pass.dispatch_workgroups(1, 1, 1);
            }
        };
        let timing = self.rig.checked("timing an empty dispatch", || {
            self.rig
                .time(self.passes + 1, record, &stage.read_out, &[(0, 1)])
        })??;
        Ok(median_after_first(&timing.pass_seconds) / f64::from(N))
    }
}
