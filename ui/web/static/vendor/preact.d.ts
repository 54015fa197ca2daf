// What preact.js exports, for the type checker.
import type { VNode } from "preact";
export { h, render, Fragment } from "preact";
export { useEffect, useLayoutEffect, useMemo, useRef, useState, useId } from "preact/hooks";
export { batch, computed, effect, signal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
export type { Signal, ReadonlySignal } from "@preact/signals";
export type { VNode, ComponentChildren } from "preact";
export function html(strings: TemplateStringsArray, ...values: any[]): VNode<any>;
