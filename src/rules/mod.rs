//! Who may call what: endpoint globs, limits, networks, at three levels of which each narrows the one above.
