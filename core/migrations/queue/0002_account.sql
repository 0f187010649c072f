-- The Zoom account whose meetings these are: what another account asks Zoom for them is answered "not found".
ALTER TABLE queue ADD COLUMN account TEXT;
