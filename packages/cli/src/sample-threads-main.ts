/** A thread that prepares samples of a training run: opens the model's processor and the label stores, and serves. */
import { workerData } from 'node:worker_threads';
import { serveRequests } from '@spatialsv/core';
import { openPreparation, type PreparationRequest, servePreparation } from '@spatialsv/train';
import { composePlugins } from './composition.js';
import { openModel } from './model.js';
import type { SampleThreadData } from './sample-threads.js';
import { backboneOptions, openTeachers } from './train-parts.js';

async function open({ config, folder, hasLabels }: SampleThreadData) {
  const plugins = await composePlugins(folder, config.plugins);
  const backbone = await openModel(config.model, plugins, backboneOptions(config));
  const teachers = hasLabels ? await openTeachers(config, plugins) : undefined;
  const preparation = await openPreparation(config, {
    ...{ backbone, findHead: plugins.resolveGeometryHead },
    ...{ source: teachers?.source, secondTeacher: teachers?.secondTeacher },
  });
  return (request: PreparationRequest) => servePreparation(preparation, request);
}

serveRequests(open(workerData as SampleThreadData));
