mod definitions;
mod schemas;
