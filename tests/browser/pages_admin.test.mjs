// The pages that an admin of an organization sees, in a file of its own: files are tested side by side.

import { pagesAre } from "./pages_check.mjs";

pagesAre("admin");
