//! Features of true views of the built-in model's world, to hold those of generated views against.
//! `model-loader/mini/train/true_features.py` makes them and defines the coordinates.

use syncline_loader::{Detail, HostTensor, LoadError, Weights};

use super::attributes::Wanted;
use super::classifier::FEATURES;
use crate::error::Result;
use crate::metrics::{Gaussian, frechet_distance};

/// Principal directions, and the length of what they leave out.
const DIRECTIONS: usize = 32;
/// Coordinates of a view.
pub const COORDINATES: usize = DIRECTIONS + 1;
/// Fewest true views that generated ones are compared with: three for each coordinate.
const FEWEST: usize = 3 * COORDINATES;
/// Samples whose mean distance is the floor.
const SHIFTS: usize = 4;
/// Views around a true world.
const AROUND: usize = 10;

/// See the module.
#[derive(Clone, Debug)]
pub struct TrueViews {
    mean: Vec<f64>,
    /// `[32, 384]`.
    basis: Vec<f64>,
    scale: f64,
    rows: Vec<Vec<f64>>,
    labels: Vec<[usize; 4]>,
    worlds: Vec<World>,
}

/// A true panorama.
#[derive(Clone, Debug)]
struct World {
    label: [usize; 4],
    rows: Vec<Vec<f64>>,
}

/// A tensor of a known shape in f64.
fn shaped(weights: &Weights, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
    let tensor = tensor(weights, name)?;
    if tensor.shape != shape {
        let detail = Detail::new(weights.label(), "true views of another shape").item(name);
        let detail = detail.found(format!("{:?}", tensor.shape)).expected(format!("{shape:?}"));
        return Err(LoadError::WrongShape(Box::new(detail)).into());
    }
    Ok(tensor.to_f32().into_iter().map(f64::from).collect())
}

fn tensor(weights: &Weights, name: &str) -> Result<HostTensor> {
    let missing = || LoadError::MissingTensor(Box::new(Detail::new(weights.label(), "missing").item(name)));
    Ok(weights.get(name)?.ok_or_else(missing)?)
}

/// Views' coordinates, and what the views or worlds show.
struct Labelled {
    rows: Vec<Vec<f64>>,
    labels: Vec<[usize; 4]>,
}

/// Reads `rows` `[N, around.., 33]` and `labels` `[N, 4]`.
fn labelled(weights: &Weights, around: &[usize]) -> Result<Labelled> {
    let count = tensor(weights, "rows")?.shape.first().copied().unwrap_or_default();
    let shape = [&[count], around, &[COORDINATES]].concat();
    let rows = shaped(weights, "rows", &shape)?.chunks_exact(COORDINATES).map(<[f64]>::to_vec).collect();
    let labels = shaped(weights, "labels", &[count, 4])?;
    let labels = labels.as_chunks().0.iter().map(|row: &[f64; 4]| row.map(|v| v as usize)).collect();
    Ok(Labelled { rows, labels })
}

impl TrueViews {
    /// Those inside the program.
    ///
    /// # Errors
    /// When the file does not hold what is described here.
    pub fn mini() -> Result<Self> {
        let (weights, worlds) = (Weights::mini_true_features()?, Weights::mini_true_worlds()?);
        let Labelled { rows, labels } = labelled(&weights, &[])?;
        let around = labelled(&worlds, &[AROUND])?;
        let world = |(rows, label): (&[Vec<f64>], [usize; 4])| World { label, rows: rows.to_vec() };
        Ok(Self {
            mean: shaped(&weights, "mean", &[FEATURES])?,
            basis: shaped(&weights, "basis", &[DIRECTIONS, FEATURES])?,
            scale: shaped(&weights, "scale", &[1])?[0],
            rows,
            labels,
            worlds: around.rows.chunks_exact(AROUND).zip(around.labels).map(world).collect(),
        })
    }

    /// Number of true views.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Coordinates of a view's 384 features: 32 along the principal directions of true views, in units of their whole
    /// standard deviation, and the length of the rest.
    #[must_use]
    pub fn project(&self, features: &[f32]) -> Vec<f64> {
        let away: Vec<f64> = features.iter().zip(&self.mean).map(|(f, m)| f64::from(*f) - m).collect();
        let along = |direction: &[f64]| direction.iter().zip(&away).map(|(d, a)| d * a).sum::<f64>();
        let mut row: Vec<f64> = self.basis.chunks_exact(FEATURES).map(along).collect();
        let whole: f64 = away.iter().map(|a| a * a).sum::<f64>() / (self.scale * self.scale);
        let inside: f64 = row.iter().map(|v| v * v).sum();
        row.push((whole - inside).max(0.0).sqrt());
        row
    }

    /// Compares generated views: for each panorama what its prompt asks for and its views' coordinates.
    ///
    /// The true views are those that show what each prompt names, each prompt with the weight of its generated views. Where
    /// they are fewer than 99 in all, or none for one of the prompts, the sky is left open, then the relief, the ground, the time.
    #[must_use]
    pub fn compare(&self, generated: &[(Wanted, Vec<Vec<f64>>)]) -> Option<Comparison> {
        let found: Vec<&[f64]> = generated.iter().flat_map(|(_, rows)| rows.iter().map(Vec::as_slice)).collect();
        if found.len() < 2 {
            return None;
        }
        // Prompts that ask for the same are one.
        let groups = |kept: usize| {
            let mut groups: Vec<(Wanted, usize)> = Vec::new();
            for (wanted, rows) in generated.iter().filter(|(_, rows)| !rows.is_empty()) {
                let wanted = wanted.keeping(kept);
                match groups.iter_mut().find(|(known, _)| *known == wanted) {
                    Some((_, count)) => *count += rows.len(),
                    None => groups.push((wanted, rows.len())),
                }
            }
            let sets: Vec<Vec<usize>> = groups.iter().map(|(wanted, _)| self.matching(wanted)).collect();
            (sets, groups.into_iter().map(|(_, count)| count).collect::<Vec<_>>())
        };
        let enough = |sets: &[Vec<usize>]| {
            let mut all = sets.concat();
            all.sort_unstable();
            all.dedup();
            all.len() >= FEWEST && sets.iter().all(|set| !set.is_empty())
        };
        let (kept, (sets, counts)) =
            (0..=4).rev().map(|kept| (kept, groups(kept))).find(|(_, (sets, _))| enough(sets))?;
        let weighted = |(set, count): (&Vec<usize>, &usize)| -> Vec<(&[f64], f64)> {
            set.iter().map(|i| (self.rows[*i].as_slice(), *count as f64 / set.len() as f64)).collect()
        };
        let truth: Vec<(&[f64], f64)> = sets.iter().zip(&counts).flat_map(weighted).collect();
        let fit = Gaussian::fit_weighted(&truth);
        let named = |head: usize| generated.iter().any(|(wanted, _)| !wanted.classes[head].is_empty());
        let panoramas = generated.iter().filter(|(_, rows)| !rows.is_empty()).map(|(wanted, _)| wanted.keeping(kept));
        Some(Comparison {
            frechet: frechet_distance(&Gaussian::fit(&found), &fit),
            frechet_floor: self.floor(&sets, &counts),
            panorama_floor: self.panorama_floor(&panoramas.collect::<Vec<_>>(), &fit),
            kernel: super::kernel_distance(&found, &truth),
            views: found.len(),
            true_views: truth.len(),
            matched: (0..kept).filter(|i| named(*i)).map(|i| super::HEADS[i].name).collect(),
        })
    }

    fn matching(&self, wanted: &Wanted) -> Vec<usize> {
        let met = |labels: &[usize; 4]| wanted.met(*labels).iter().all(|met| *met != Some(false));
        (0..self.len()).filter(|i| met(&self.labels[*i])).collect()
    }

    /// The distance that as many true views have from the others like them; none where too few would be left.
    fn floor(&self, sets: &[Vec<usize>], counts: &[usize]) -> Option<f64> {
        if sets.iter().zip(counts).any(|(set, count)| set.len() < 2 * count.max(&1)) {
            return None;
        }
        let distance = |shift: usize| {
            let (mut sample, mut rest) = (Vec::new(), Vec::new());
            for (set, count) in sets.iter().zip(counts) {
                let stride = set.len() / count;
                let start = shift * stride / SHIFTS;
                let taken =
                    |k: usize| k >= start && (k - start).is_multiple_of(stride) && (k - start) / stride < *count;
                let weight = *count as f64 / (set.len() - count) as f64;
                for (k, i) in set.iter().enumerate() {
                    let row = self.rows[*i].as_slice();
                    if taken(k) { sample.push(row) } else { rest.push((row, weight)) }
                }
            }
            frechet_distance(&Gaussian::fit(&sample), &Gaussian::fit_weighted(&rest))
        };
        Some((0..SHIFTS).map(distance).sum::<f64>() / SHIFTS as f64)
    }

    /// The distance of as many true panoramas of what is asked for; none where there are too few.
    fn panorama_floor(&self, wanted: &[Wanted], truth: &Gaussian) -> Option<f64> {
        let worlds = |wanted: &Wanted| -> Vec<&World> {
            let fits = |world: &&World| wanted.met(world.label).iter().all(|met| *met != Some(false));
            self.worlds.iter().filter(fits).collect()
        };
        let distance = |shift: usize| {
            let mut views: Vec<&[f64]> = Vec::new();
            for (i, own) in wanted.iter().enumerate() {
                let fitting = worlds(own);
                let before = wanted[..i].iter().filter(|other| *other == own).count();
                if before >= fitting.len() {
                    return None;
                }
                let world = fitting[(before + shift * fitting.len() / SHIFTS) % fitting.len()];
                views.extend(world.rows.iter().map(Vec::as_slice));
            }
            Some(frechet_distance(&Gaussian::fit(&views), truth))
        };
        let distances = (0..SHIFTS).map(distance).collect::<Option<Vec<f64>>>()?;
        Some(distances.iter().sum::<f64>() / SHIFTS as f64)
    }
}

/// Generated views beside true ones.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Comparison {
    /// Fréchet distance of the coordinates, in units of the true views' whole variance.
    pub frechet: f64,
    /// That of as many true views, each of its own world, from the others. None where too few would be left.
    pub frechet_floor: Option<f64>,
    /// That of as many true panoramas, ten views of each: panoramas that are as good as true ones have this, because the views
    /// of one panorama show one world. None where there are too few.
    pub panorama_floor: Option<f64>,
    /// Unbiased squared kernel distance (MMD) with the kernel (x·y + 1)³ around the true views' mean; 0 on average for
    /// true views, however few there are.
    pub kernel: f64,
    /// Generated views.
    pub views: usize,
    /// True views they are compared with; one that fits two prompts counts twice.
    pub true_views: usize,
    /// Heads that prompts name and in which the true views are what they name.
    pub matched: Vec<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_it_says() {
        let truth = TrueViews::mini().unwrap();
        assert!(truth.len() == 2240 && !truth.is_empty());
        // The rows are centred and of variance 1 in all, but for the rest's own mean.
        let rows: Vec<&[f64]> = truth.rows.iter().map(Vec::as_slice).collect();
        let fit = Gaussian::fit(&rows);
        let variance: f64 = (0..DIRECTIONS).map(|i| fit.covariance[i * COORDINATES + i]).sum();
        let rest = fit.mean[DIRECTIONS].powi(2) + fit.covariance[COORDINATES * COORDINATES - 1];
        assert!(fit.mean[..DIRECTIONS].iter().all(|m| m.abs() < 1e-3) && (variance + rest - 1.0).abs() < 2e-3);
        for (head, h) in super::super::HEADS.iter().enumerate() {
            assert!((0..h.classes.len()).all(|class| truth.labels.iter().any(|l| l[head] == class)), "{}", h.name);
        }
    }

    #[test]
    fn true_views_are_near_and_others_far() {
        let truth = TrueViews::mini().unwrap();
        let wanted = Wanted::of_prompt("a desert at noon");
        let some = |prompt: &str| -> Vec<Vec<f64>> {
            truth.matching(&Wanted::of_prompt(prompt)).iter().step_by(3).map(|i| truth.rows[*i].clone()).collect()
        };
        let near = truth.compare(&[(wanted.clone(), some("noon desert"))]).unwrap();
        let other = truth.compare(&[(wanted.clone(), some("night sea"))]).unwrap();
        assert_eq!((near.views, near.true_views, near.matched.len()), (38, 112, 2));
        let floor = near.frechet_floor.unwrap();
        assert!(near.frechet < floor && other.frechet > 10.0 * floor, "{near:?} {other:?}");
        // The sample is a part of what it is compared with, so its distance is even less than nothing.
        assert!(near.kernel < 0.01 && other.kernel > 0.1, "{near:?} {other:?}");
        assert!(truth.compare(&[(wanted, some("noon desert")[..1].to_vec())]).is_none());
    }

    #[test]
    fn true_panoramas_have_their_floor() {
        let truth = TrueViews::mini().unwrap();
        let worlds: Vec<&World> = truth.worlds.iter().filter(|w| w.label[..2] == [1, 1]).collect();
        assert_eq!((truth.worlds.len(), worlds.len(), worlds[0].rows.len()), (240, 12, AROUND));
        let sets = |count: usize| -> Vec<_> {
            worlds[..count].iter().map(|w| (Wanted::of_prompt("a desert at noon"), w.rows.clone())).collect()
        };
        let (one, all) = (truth.compare(&sets(1)).unwrap(), truth.compare(&sets(12)).unwrap());
        // One world is far from all of its kind, twelve are nearer, and all of them are what the floor is made of.
        assert!(all.frechet < 0.5 * one.frechet, "{one:?} {all:?}");
        assert!((all.panorama_floor.unwrap() - all.frechet).abs() < 1e-9, "{all:?}");
        let floor = one.panorama_floor.unwrap();
        assert!(floor > one.frechet_floor.unwrap() && (0.3..3.0).contains(&(one.frechet / floor)), "{one:?}");
        let more: Vec<_> = sets(12).into_iter().chain(sets(1)).collect();
        assert_eq!(truth.compare(&more).unwrap().panorama_floor, None);
    }

    #[test]
    fn rare_prompts_leave_open_what_is_too_rare() {
        let truth = TrueViews::mini().unwrap();
        let compared = |prompts: &[&str]| {
            let views = |_: &&str| truth.rows[..10].to_vec();
            let sets: Vec<_> = prompts.iter().map(|p| (Wanted::of_prompt(p), views(p))).collect();
            truth.compare(&sets).unwrap()
        };
        // 28 views of one combination are too few, five combinations are enough; no true noon has an aurora.
        assert_eq!(compared(&["noon desert with hills"]).matched, ["time", "ground"]);
        let five = [
            "noon desert with hills",
            "noon sea with hills",
            "noon snow with hills",
            "night sea, hills",
            "dawn sea, hills",
        ];
        assert_eq!(compared(&five).matched, ["time", "ground", "relief"]);
        assert_eq!(compared(&["noon, aurora"]).matched, ["time"]);
        assert_eq!(compared(&["night, aurora"]).matched, ["time", "sky"]);
        let open = compared(&["a lighthouse", "a boat", "a cow"]);
        assert_eq!((open.views, open.true_views, open.matched.len()), (30, 2240, 0));
    }
}
