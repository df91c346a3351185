mod claims;
mod slices;
mod statuses;
