#!/usr/bin/env node
// Outside dist, so that npm can link the command in a clone that is not built yet.
import '../dist/main.js';
