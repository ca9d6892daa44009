/** A module of a package, built: `npm run build` comes first. */
export const compiled = (name, file) =>
  import(new URL(`../../packages/${name}/dist/${file}`, import.meta.url).href);

export const folderOf = (path) => new URL(`../../packages/${path}/`, import.meta.url).pathname;
