//! From pictures to latents, through an editor, and back: one picture at a time in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use syncline::jobs::PictureCodec;
use syncline::pipeline::StableDiffusion;
use syncline::reproject::Raster;

use super::method::{Around, Editor, Latents};
use super::place::{Place, Sides};
use crate::args::{Global, SetFilesArgs};
use crate::input::{Photo, PictureSet, SetKind};
use crate::progress::{Counter, run_unseen};

/// A set on its way through a model.
pub struct Process<'a> {
    pub global: &'a Global,
    pub files: &'a SetFilesArgs,
    pub set: &'a PictureSet,
    pub model: &'a Arc<StableDiffusion>,
    /// Where the set is one panorama.
    pub around: Option<Around>,
}

/// Pictures that are edited at one size, by their numbers.
struct Group {
    place: Place,
    members: Vec<usize>,
}

impl Process<'_> {
    /// Pictures of one size go together; a set mostly has one.
    fn groups(&self) -> Vec<Group> {
        let sides = Sides::of(self.model);
        let mut groups: BTreeMap<[usize; 2], Vec<usize>> = BTreeMap::new();
        for (i, size) in self.set.sizes.iter().enumerate() {
            groups.entry(*size).or_default().push(i);
        }
        let place = |size| match self.around {
            Some(around) => Place::panorama(size, sides, self.files, around.wrap),
            None => Place::whole(size, sides, self.files),
        };
        groups.into_iter().map(|(size, members)| Group { place: place(size), members }).collect()
    }

    /// Edits all pictures. `sink` gets each once, with its number and source: in order, where all have one size.
    ///
    /// # Errors
    /// When a picture cannot be read, the edit fails or is stopped, or the sink refuses.
    pub fn run(
        &self,
        editor: &Editor,
        mut sink: impl FnMut(usize, &Photo, &Raster) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.groups().iter().try_for_each(|group| self.group(group, editor, &mut sink))
    }

    fn group(
        &self,
        Group { place, members }: &Group,
        editor: &Editor,
        sink: &mut impl FnMut(usize, &Photo, &Raster) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut codec = PictureCodec::new(self.model, place.work, place.options())?;
        let each = codec.latent_len();
        let mut source = Vec::with_capacity(members.len() * each);
        let mut counter = Counter::new(self.global);
        for (done, i) in members.iter().enumerate() {
            let seen = place.to_work(&colours(&self.set.read(*i)?));
            source.extend(run_unseen(codec.encoding(&seen)?)?);
            counter.tell("encode", done + 1, members.len());
        }
        counter.finish();
        // The network gets the room.
        codec.release();
        let size = codec.latent_size().map(|n| n * self.model.downscale());
        let latents = Latents { size, each, values: source.clone() };
        let edited = match self.around {
            Some(around) => editor.panorama(self.global, self.model, latents, around)?,
            None => editor.pictures(self.global, self.model, latents, members)?,
        };
        let mut counter = Counter::new(self.global);
        for (done, i) in members.iter().enumerate() {
            let photo = self.set.read(*i)?;
            let part = |latents: &[f32]| latents[done * each..(done + 1) * each].to_vec();
            let after = run_unseen(codec.decoding(&part(&edited))?)?;
            let before = place.needs_source().then(|| run_unseen(codec.decoding(&part(&source))?)).transpose()?;
            sink(*i, &photo, &place.back(&colours(&photo), after, before))?;
            counter.tell("decode", done + 1, members.len());
        }
        counter.finish();
        Ok(())
    }
}

fn colours(photo: &Photo) -> Raster {
    photo.picture.to_srgb().into_owned()
}

/// Whether a set is one panorama, and whether it goes around.
pub fn around(set: &PictureSet, files: &SetFilesArgs) -> Option<Around> {
    let SetKind::Single = set.kind else { return None };
    let [height, width] = set.sizes[0];
    Some(Around { stride: files.stride, wrap: files.wrap.unwrap_or(width == 2 * height) })
}
