"""For nodes without internet: `bundle` packs every wheel, `install` unpacks them there."""
