//! What operations work on.
//!
//! | register | shape | holds |
//! |---|---|---|
//! | [`ViewReg`] | `[V, h, w, C]` latents of the views of a set | the sampler's state, what is known, clean and noise estimates |
//! | [`CanvasReg`] | `[H, W, C]` | the canvas, what was fused last, the RGB picture |
//!
//! A plan may have several **branches**: trajectories over the same views, such as source and target of an edit, two models, or
//! the prompts of a pair. Registers of views are branch-major: with V views in all and P branches, rows b · V/P .. (b + 1) · V/P
//! belong to branch b, [`Reg::Branch`]. Branches draw noise of their own unless a [`super::Draw`] is shared.

/// Latents of the views of the present set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ViewReg {
    /// The sampler's state x.
    State,
    /// What the canvas says: projected (and encoded) views.
    Known,
    /// The clean estimate, or the noise estimate when the evaluation was asked for it.
    Clean,
    /// Kept from one evaluation to the next.
    Kept,
    /// What the autoencoder lost of the views of this set.
    Residual(usize),
    /// Image latents that a model sees beside the state (`InstructPix2Pix`).
    Condition,
}

/// Values of the whole canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CanvasReg {
    /// The canvas, in the plan's medium.
    Canvas,
    /// What was fused from views, in the plan's medium.
    Fused,
    /// The RGB picture; the canvas itself in [`super::Medium::Rgb`].
    Picture,
    /// Known content of inpainting, in the plan's medium.
    Source,
}

/// Any register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reg {
    /// Of the views of all branches.
    View(ViewReg),
    /// Of the canvas.
    Canvas(CanvasReg),
    /// Of the views of one branch.
    Branch(ViewReg, usize),
}

impl Reg {
    /// The branch it is limited to.
    #[must_use]
    pub fn branch(self) -> Option<usize> {
        if let Self::Branch(_, branch) = self { Some(branch) } else { None }
    }
}

impl From<ViewReg> for Reg {
    fn from(reg: ViewReg) -> Self {
        Self::View(reg)
    }
}

impl From<CanvasReg> for Reg {
    fn from(reg: CanvasReg) -> Self {
        Self::Canvas(reg)
    }
}
