/** A thread that prepares prompts for an evaluation: opens the model's processor, and serves. */
import { workerData } from 'node:worker_threads';
import { servePreparation } from '@spatialsv/eval';
import { composePlugins } from './composition.js';
import { openModel } from './model.js';
import type { PreparationData } from './preparation.js';

const { folder, model, options } = workerData as PreparationData;

servePreparation(composePlugins(folder).then((plugins) => openModel(model, plugins, options)));
