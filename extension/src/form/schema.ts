import { JSONExt, ReadonlyJSONValue } from '@lumino/coreutils';

import { trans } from '../translation';

/** Values of a recipe by parameter. */
export type Values = { readonly [name: string]: ReadonlyJSONValue };

/** A node of a recipe's JSON schema, as far as pydantic writes them. */
export interface INode {
  readonly $ref?: string;
  readonly type?: string;
  readonly anyOf?: readonly INode[];
  readonly enum?: readonly ReadonlyJSONValue[];
  readonly const?: ReadonlyJSONValue;
  readonly items?: INode;
  readonly prefixItems?: readonly INode[];
  readonly additionalProperties?: boolean | INode;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly title?: string;
  readonly description?: string;
  readonly group?: string;
  readonly advanced?: boolean;
  readonly default?: ReadonlyJSONValue;
}

/** A recipe's JSON schema. */
export interface IRecipeSchema extends INode {
  readonly properties: { readonly [name: string]: INode };
  readonly $defs?: { readonly [name: string]: INode };
}

/** The ways in which a value can be written. */
export type Kind = 'choice' | 'integer' | 'number' | 'string' | 'boolean' | 'array' | 'object' | 'null';

/** One way in which a value can be written. */
export interface IAlternative {
  readonly kind: Kind;
  readonly node: INode;
  readonly choices: readonly ReadonlyJSONValue[];
}

/** List the ways in which a value can be written, in the schema's order. */
export function alternatives(node: INode): IAlternative[] {
  if (node.anyOf) {
    return node.anyOf.flatMap(alternatives);
  }
  if (node.enum) {
    return [{ kind: 'choice', node, choices: node.enum }];
  }
  if (node.const !== undefined) {
    return [{ kind: 'choice', node, choices: [node.const] }];
  }
  return [{ kind: (node.type ?? 'string') as Kind, node, choices: [] }];
}

/** Find the way in which a value is written. */
export function alternativeOf(node: INode, value: ReadonlyJSONValue): IAlternative | undefined {
  return alternatives(node).find(one => matches(one, value));
}

function matches(one: IAlternative, value: ReadonlyJSONValue): boolean {
  switch (one.kind) {
    case 'choice':
      return one.choices.some(choice => JSONExt.deepEqual(choice, value));
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return JSONExt.isObject(value);
    case 'integer':
      return Number.isInteger(value);
    case 'number':
      return typeof value === 'number';
    default:
      return typeof value === one.kind;
  }
}

/** Put into words which values a parameter takes, as the recipe's own errors do. */
export function allowed(node: INode): string {
  if (node.anyOf) {
    return [...new Set(node.anyOf.map(allowed))].join(trans.__(', or '));
  }
  if (node.enum) {
    return node.enum.map(choice => String(choice)).join(' | ');
  }
  switch (node.type) {
    case 'integer':
    case 'number':
      return [node.type === 'integer' ? trans.__('a whole number') : trans.__('a number'), bounds(node)].join(' ').trim();
    case 'boolean':
      return trans.__('true or false');
    case 'null':
      return trans.__('empty');
    case 'array':
      return node.prefixItems
        ? `[${node.prefixItems.map(allowed).join(', ')}]`
        : trans.__('a list of %1', node.items ? allowed(node.items) : trans.__('values'));
    case 'object':
      return trans.__('a mapping of names to numbers');
    default:
      return trans.__('text');
  }
}

/** Put a number's bounds into words; empty where there are none. */
export function bounds(node: INode): string {
  const said = [
    node.minimum !== undefined ? trans.__('at least %1', node.minimum) : '',
    node.exclusiveMinimum !== undefined ? trans.__('above %1', node.exclusiveMinimum) : '',
    node.maximum !== undefined ? trans.__('at most %1', node.maximum) : '',
    node.exclusiveMaximum !== undefined ? trans.__('below %1', node.exclusiveMaximum) : ''
  ];
  return said.filter(part => part).join(trans.__(' and '));
}

/** Write a number's bounds for the help beside a control: "1 to 100000", "above 0". */
export function span(node: INode): string {
  if (node.minimum !== undefined && node.maximum !== undefined) {
    return trans.__('%1 to %2', node.minimum, node.maximum);
  }
  if (node.minimum !== undefined && node.exclusiveMaximum !== undefined) {
    return trans.__('%1 to below %2', node.minimum, node.exclusiveMaximum);
  }
  return bounds(node);
}

const spelled = new Map([['lr', 'learning rate'], ['onnx', 'ONNX'], ['runs_dir', 'runs folder']]);

/** Name a parameter for people: `class_weights` becomes "Class weights". */
export function label(name: string): string {
  const words = spelled.get(name) ?? name.replace(/_/g, ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Keep the values that differ from the defaults. */
export function changed(values: Values, defaults: Values): Values {
  const found: { [name: string]: ReadonlyJSONValue } = {};
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && (!(name in defaults) || !JSONExt.deepEqual(value, defaults[name]))) {
      found[name] = value;
    }
  }
  return found;
}

/** The groups of a recipe's parameters, in the order in which the schema first names them. */
export function groups(schema: IRecipeSchema): string[] {
  return [...new Set(Object.values(schema.properties).map(node => node.group ?? 'Run'))];
}

/** Replace references by what they name: rjsf's fields get whole nodes. */
export function resolved(schema: IRecipeSchema): IRecipeSchema {
  const definitions = schema.$defs ?? {};
  const follow = (node: INode, depth: number): INode => {
    if (node.$ref !== undefined && depth < 20) {
      const name = node.$ref.split('/').pop() ?? '';
      const { $ref, ...rest } = node;
      return { ...follow(definitions[name] ?? {}, depth + 1), ...rest };
    }
    const copy: { -readonly [key in keyof INode]: INode[key] } = { ...node };
    if (node.anyOf) {
      copy.anyOf = node.anyOf.map(part => follow(part, depth));
    }
    if (node.items) {
      copy.items = follow(node.items, depth);
    }
    return copy;
  };
  const properties = Object.fromEntries(
    Object.entries(schema.properties).map(([name, node]) => [name, follow(node, 0)])
  );
  const { $defs, ...rest } = schema;
  return { ...rest, properties };
}
