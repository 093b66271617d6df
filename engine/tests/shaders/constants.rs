//! Constants of the kernels' texts against what the ops believe of them.

use crate::{MAX_INVOCATIONS, each_module};
use engine::ops::{
    ATTENTION_CHUNK, CHUNKS_PER_GROUP, CHUNKS_PER_PAIR, GEMM_TOKENS, LOGIT_SEGMENT,
    REPETITION_WINDOW_MAX, RESULT_SLOTS, Step, Tuning,
};
use engine::shader::Kernel;
use naga::Module;

fn override_default(module: &Module, name: &str) -> Option<f64> {
    let (_, constant) = module
        .overrides
        .iter()
        .find(|(_, o)| o.name.as_deref() == Some(name))?;
    literal(module, constant.init?)
}

fn constant(module: &Module, name: &str) -> Option<f64> {
    let (_, constant) = module
        .constants
        .iter()
        .find(|(_, c)| c.name.as_deref() == Some(name))?;
    literal(module, constant.init)
}

fn literal(module: &Module, expression: naga::Handle<naga::Expression>) -> Option<f64> {
    match module.global_expressions[expression] {
        naga::Expression::Literal(naga::Literal::U32(value)) => Some(f64::from(value)),
        naga::Expression::Literal(naga::Literal::F32(value)) => Some(f64::from(value)),
        naga::Expression::Constant(constant) => literal(module, module.constants[constant].init),
        _ => None,
    }
}

#[test]
fn constants_agree_with_the_op() {
    each_module(|op, _, module| {
        let name = op.kernel().name();
        let given = op.constants(&Tuning::default());
        for (constant, _) in &given {
            let known = module
                .overrides
                .iter()
                .any(|(_, o)| o.name.as_deref() == Some(constant));
            assert!(known, "{name} has no override {constant}");
        }
        let value = |name: &str| {
            given
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| *value)
                .or_else(|| override_default(module, name))
        };
        let workgroup = value("WG").unwrap();
        assert!(
            workgroup <= MAX_INVOCATIONS,
            "{name}: {workgroup} invocations"
        );
        let step = Step {
            pos: 0,
            n_tokens: 3,
            logit_row: 0,
            n_logits: 1,
        };
        let [x, _, _] = op.grid(&step, &Tuning::default());
        match op.kernel() {
            // Invocations over work items must be workgroups.
            Kernel::Embed => assert_eq!(f64::from(x), (16.0 / workgroup).ceil()),
            Kernel::RopeKv => assert_eq!(f64::from(x), (10.0 * 16.0 / workgroup).ceil()),
            Kernel::LmHead => {
                let rows = workgroup / constant(module, "LANES").unwrap()
                    * constant(module, "TEAM_ROWS").unwrap();
                assert_eq!(f64::from(x), (9.0 / rows).ceil());
                let step = Step {
                    n_logits: 9,
                    ..step
                };
                assert_eq!(op.grid(&step, &Tuning::default())[2], 9);
            }
            Kernel::TernaryGemm => {
                assert_eq!(constant(module, "TOKENS"), Some(f64::from(GEMM_TOKENS)))
            }
            Kernel::Attention | Kernel::RopeAttention => {
                assert_eq!(constant(module, "CHUNK"), Some(f64::from(ATTENTION_CHUNK)));
                let parts = constant(module, "PARTS").unwrap();
                assert_eq!(Some(workgroup), constant(module, "TEAM"));
                assert_eq!(workgroup, parts * f64::from(ATTENTION_CHUNK));
            }
            Kernel::AttentionCombine => {
                assert_eq!(constant(module, "CHUNK"), Some(f64::from(ATTENTION_CHUNK)));
                let pair = Some(f64::from(CHUNKS_PER_PAIR));
                assert_eq!(constant(module, "CHUNKS_PER_PAIR"), pair);
                let group = Some(f64::from(CHUNKS_PER_GROUP));
                assert_eq!(constant(module, "CHUNKS_PER_GROUP"), group);
                assert_eq!(f64::from(x), 6.0);
                // An invocation for each pair and quad that are merged at once, in the text's own sizes and in the op's.
                let own = |name| constant(module, name).unwrap();
                let slots = own("GROUPS") * own("PAIRS") * own("COLUMNS");
                assert_eq!(override_default(module, "WG"), Some(slots));
                let sizes = op.sizes(&Tuning::default());
                let size = |name| {
                    let (_, size) = sizes.iter().find(|(n, _)| *n == name).unwrap();
                    f64::from(*size)
                };
                assert_eq!(size("PAIRS"), f64::from(CHUNKS_PER_GROUP / CHUNKS_PER_PAIR));
                assert_eq!(size("OTHER_PAIRS"), size("PAIRS") - 1.0);
                assert_eq!(size("GROUPS"), 1.0, "300 positions");
                assert_eq!(workgroup, size("GROUPS") * size("PAIRS") * size("COLUMNS"));
            }
            Kernel::AttentionLoop => {
                assert_eq!(constant(module, "CHUNK"), Some(f64::from(ATTENTION_CHUNK)));
                assert_eq!(constant(module, "SHARES"), Some(workgroup));
                let positions = workgroup * constant(module, "PER_SHARE").unwrap();
                assert_eq!(positions, f64::from(ATTENTION_CHUNK));
                let rounds = constant(module, "ROUNDS").unwrap();
                assert_eq!(rounds, (16.0 / workgroup).ceil());
            }
            Kernel::Sample => {
                assert_eq!(
                    constant(module, "RESULT_SLOTS"),
                    Some(f64::from(RESULT_SLOTS))
                );
                assert_eq!(constant(module, "N_LANES"), Some(workgroup));
                let greedy = f64::from(engine::reference::GREEDY_BELOW);
                assert_eq!(constant(module, "GREEDY_BELOW"), Some(greedy));
            }
            Kernel::LogitScan => {
                let segment = f64::from(LOGIT_SEGMENT);
                assert_eq!(constant(module, "SEGMENT"), Some(segment));
                assert_eq!(f64::from(x), (5000.0 / segment).ceil());
                assert_eq!(constant(module, "N_LANES"), Some(workgroup));
                assert_eq!(workgroup, f64::from(REPETITION_WINDOW_MAX));
            }
            Kernel::NormGemv | Kernel::TernaryGemv => {
                let sizes = op.sizes(&Tuning::default());
                let size = |name| {
                    let (_, size) = sizes.iter().find(|(n, _)| *n == name).unwrap();
                    f64::from(*size)
                };
                assert_eq!(size("SLICES") * size("LANE_ROWS"), workgroup);
                assert_eq!(size("ROWS"), size("EACH") * size("LANE_ROWS"));
                assert!(size("ROWS") <= workgroup);
                assert_eq!(f64::from(x), (100.0 / size("ROWS")).ceil());
                // 112 rows with padding, of three quads each.
                for (name, expected) in
                    [("N_ROWS", 100.0), ("UP_OFFSET", 336.0), ("UP_GAMMA", 112.0)]
                {
                    assert_eq!(value(name), Some(expected), "{name}");
                }
                if op.kernel() == Kernel::NormGemv {
                    let chunk = Some(f64::from(ATTENTION_CHUNK));
                    assert_eq!(constant(module, "CHUNK"), chunk);
                    let group = Some(f64::from(CHUNKS_PER_GROUP));
                    assert_eq!(constant(module, "CHUNKS_PER_GROUP"), group);
                }
            }
            Kernel::NormQuantize | Kernel::RmsNorm => {}
        }
    });
}
