/** What can say which checkpoint is the best, by the held-out samples: the total loss, the share of right answers, or depth. */
export const CRITERIA = ['loss', 'accuracy', 'depthRmse'] as const;
export type Criterion = (typeof CRITERIA)[number];
