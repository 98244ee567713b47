//! Single troubles that need more than a seed to come about.
