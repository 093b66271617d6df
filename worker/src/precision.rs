//! How precisely embedding and head of a converted model are stored. The choice is part of the model's address: a model in
//! another precision is another package, and what is begun of one never goes on as the other.

use model::architecture::gpu_tensor_bytes;
use model::convert::EmbedFormat;
use model::hub::Place;
use model::{Encoding, Manifest};
use protocol::{ByteCount, Precision, PrecisionOffer};

/// What the converter calls it: the same as `tern convert --embed` has without further options.
pub(crate) const fn embed(precision: Precision) -> EmbedFormat {
    match precision {
        Precision::Q8 => EmbedFormat::Q8,
        Precision::Q6 => EmbedFormat::Q6 { group: 64 },
        Precision::Q4 => EmbedFormat::Q4,
    }
}

/// The precision that an address asks for.
pub(crate) fn precision(place: &Place) -> Precision {
    let is_it = |precision: &Precision| embed(*precision) == place.embed();
    let mut all = Precision::ALL.into_iter();
    all.find(is_it).unwrap_or_default()
}

/// The choices of a model that would be converted, of which a preview in one precision is known.
pub(crate) fn precisions(place: &Place, preview: &Manifest) -> Vec<PrecisionOffer> {
    let offer = |precision| PrecisionOffer {
        precision,
        model_url: place.with_embed(embed(precision)).key(),
        weight_bytes: ByteCount::saturating(weight_bytes(preview, &embed(precision).encoding())),
    };
    Precision::ALL.into_iter().map(offer).collect()
}

/// GPU bytes of the weights with these rows of embedding and head.
fn weight_bytes(preview: &Manifest, rows: &Encoding) -> u64 {
    let bytes = |tensor: &model::Tensor| {
        let encoding = match tensor.encoding {
            Encoding::Ternary { .. } | Encoding::F32 => &tensor.encoding,
            _ => rows,
        };
        gpu_tensor_bytes(encoding, tensor.shape, preview.ternary.rows_per_tile)
    };
    preview
        .tensors
        .iter()
        .map(bytes)
        .fold(0, u64::saturating_add)
}
