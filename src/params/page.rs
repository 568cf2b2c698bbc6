//! The node's tabs.

/// The page (tab) of the node that shows a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// What to edit, the buttons and the status: all that an ordinary shot needs.
    Shot,
    /// Base model and training.
    Adapter,
    /// Sampling.
    Generate,
    /// Colour spaces of the inputs.
    Colour,
    /// Mask and composite.
    MaskAndEdge,
    /// Cache folder and behaviour without a result.
    Farm,
    /// What the node knows about itself.
    Info,
}

impl Page {
    /// All pages, in the order the host shows them.
    pub const ALL: [Self; 7] =
        [Self::Shot, Self::Adapter, Self::Generate, Self::Colour, Self::MaskAndEdge, Self::Farm, Self::Info];

    /// The OpenFX name of the page parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shot => "pageShot",
            Self::Adapter => "pageAdapter",
            Self::Generate => "pageGenerate",
            Self::Colour => "pageColour",
            Self::MaskAndEdge => "pageMaskEdge",
            Self::Farm => "pageFarm",
            Self::Info => "pageInfo",
        }
    }

    /// The words the artist reads on the tab.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Shot => "Shot",
            Self::Adapter => "Adapter",
            Self::Generate => "Generate",
            Self::Colour => "Colour",
            Self::MaskAndEdge => "Mask & edge",
            Self::Farm => "Farm",
            Self::Info => "Info",
        }
    }
}
