import { existsSync, readFileSync } from 'node:fs';
import { variantConfig, writeRandomWeights, openDa3 } from './dist/index.js';
const name = process.argv[2]; const folder = `/tmp/dav3full/${name}`;
if (!existsSync(`${folder}/model.safetensors`)) { const t=performance.now(); await writeRandomWeights(folder, variantConfig(name), 1); console.log('write s', (performance.now()-t)/1000); }
const model = await openDa3(folder);
const views = Number(process.argv[3]);
const pixels = Array.from({ length: views }, (_, v) => new Float32Array(378*504*3).map((_, i) => Math.sin(i + v)));
for (let i = 0; i < Number(process.argv[4]); i++) { const t = performance.now(); await model.predict({ views, height: 378, width: 504, pixels }, { rays: false }); const st = readFileSync('/proc/self/status','utf8'); console.log(name, views, Math.round(performance.now()-t), 'ms', st.match(/VmHWM.*/)[0], st.match(/RssAnon.*/)[0]); }
await model.dispose();
