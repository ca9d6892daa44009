import { definePlugin } from '@spatialsv/core/spec';
import { cvBench } from './benchmarks/cv-bench.js';
import { cvBenchVideo } from './benchmarks/cv-bench-video.js';
import { ego3d } from './benchmarks/ego3d.js';
import { mindCube } from './benchmarks/mindcube.js';
import { mmbench } from './benchmarks/mmbench.js';
import { ownQuestions } from './benchmarks/own-questions.js';
import { spBench } from './benchmarks/sp-bench.js';
import { spatial457 } from './benchmarks/spatial457.js';
import { threeDsr } from './benchmarks/three-dsr.js';
import { topViewRs } from './benchmarks/top-view-rs.js';
import { viewSpatial } from './benchmarks/view-spatial.js';
import { vsiBench } from './benchmarks/vsi-bench.js';

/** Contributes the benchmarks that come with this package. */
export default definePlugin({
  specificationVersion: 'v1',
  contributions: () => [
    mindCube,
    vsiBench,
    ego3d,
    spatial457,
    viewSpatial,
    threeDsr,
    spBench,
    topViewRs,
    cvBenchVideo,
    cvBench,
    mmbench,
    ownQuestions,
  ],
});
