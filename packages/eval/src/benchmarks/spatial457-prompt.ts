/** Texts of Spatial457's prompts, byte for byte; the spelling `refered` is the original's. */

const WHAT: Readonly<Record<string, string>> = {
  L1_single: 'the objects',
  L2_objects: 'multiple objects',
  L3_2d_spatial: 'multiple objects and their spatial relationship from 2D projected camera view',
  L4_occ: 'multiple objects and their occlusion relationships',
  L4_pose: 'multiple objects and their facing direction in 3D space from the camera view',
  L5_6d_spatial:
    'multiple objects and their spatial relationship from objects’ perspective in 3D space',
  L5_collision:
    'multiple objects and their potential collision given the assumption of moving direction in 3D space',
};

/** Levels in the order of the table. */
export const SUBSETS = Object.keys(WHAT);

const CHOICES = [
  'Small',
  'Large',
  'Airliner',
  'Dirtbike',
  'Road bike',
  'Tandem bike',
  'Suv',
  'Wagon',
  'Scooter',
  'Mountain bike',
  'Minivan',
  'Sedan',
  'School bus',
  'Fighter',
  'Chopper',
  'Double bus',
  'Truck',
  'Articulated bus',
  'Cruiser',
  'Jet',
  'Utility bike',
  'Regular bus',
  'Biplane',
  'Gray',
  'Blue',
  'Purple',
  'Brown',
  'Green',
  'Cyan',
  'Red',
  'Yellow',
  'Left',
  'Right',
  'Front',
  'Back',
];

/** Whose words a prompt is in. */
export type Toolkit = 'kit' | 'lme';

/** What stands first. */
export const firstText = (subset: string, toolkit: Toolkit = 'kit'): string =>
  toolkit === 'kit' ? kitFirstText(subset) : kitFirstText(subset).replace('’', "'");

const kitFirstText = (subset: string): string =>
  `You are an intelligent chatbot designed to answer questions based on an image. Your task is to analyze the images, identify attributes of ${WHAT[subset] ?? 'the objects'}, and then determine the answer to the question.\n`;

/** What stands behind the question. The other toolkit spells `referred`, and names no phrases to choose from. */
export function lastText(toolkit: Toolkit = 'kit'): string {
  if (toolkit === 'kit') return kitLastText;
  const choices = ` chosen from the following options: ${CHOICES.join(', ')}`;
  return kitLastText.replace('refered', 'referred').replace(choices, '');
}

const kitLastText = [
  "First, you should identify the related objects refered in the questions, including their shape, color, size; then add a brief reasoning process about the questions. Each object in the image has a shape (e.g., 'airliner'), a size (only can be 'small' or 'large'), a color (e.g. 'blue'). The size of the object is either 'small' or 'large'. The color of the object is one of the following: 'gray', 'blue', 'purple', 'brown', 'green', 'cyan', 'red', 'yellow'. The direction of the object is one of the following: 'left', 'right', 'front', 'back'.\n\n",
  `Second, give the answer based on the reasoning process. The answer should only be (1) a phrase chosen from the following options: ${CHOICES.join(', ')}, or (2) an integer [0-10] when asked for 'How many' or 'What is the number of', or (3) 'Yes' or 'No' when asked for 'Is there'. If you think there are no possible answers or the question is not clear, choose the best answer that fits the question.\n\n`,
  "Write your response into this json template: {'Reasoning': '<your reasons>', 'Answer': '<Your answer>'}",
].join('');
