// The pages that a super admin sees, in a file of its own: files are tested side by side.

import { pagesAre } from "./pages_check.mjs";

pagesAre("staff");
