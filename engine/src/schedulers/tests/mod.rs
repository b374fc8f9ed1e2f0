mod closed_forms;
mod requests;
