//! An apiserver in the test process: enough of list and watch to drive reflectors.
