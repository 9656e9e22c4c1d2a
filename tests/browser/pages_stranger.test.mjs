// The pages that a reader without a session sees, in a file of its own: files are tested side by side.

import { pagesAre } from "./pages_check.mjs";

pagesAre("stranger");
