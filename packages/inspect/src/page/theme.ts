import { button } from './dom.js';

/** Colours as the system has them, also when it changes, until the button is used. @returns the button. */
export function themeButton(): HTMLElement {
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  let isDark = system.matches;
  const show = () => {
    root.dataset['theme'] = isDark ? 'dark' : 'light';
  };
  const follow = () => {
    isDark = system.matches;
    show();
  };
  system.addEventListener('change', follow);
  show();
  const toggle = () => {
    system.removeEventListener('change', follow);
    isDark = !isDark;
    show();
  };
  return button('Theme', toggle, { 'aria-label': 'Switch between light and dark' });
}
