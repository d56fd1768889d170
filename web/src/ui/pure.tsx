/** Components that are drawn again only when what they are given has changed. */
import { Component, type ComponentChild } from "preact";

function same(a: object, b: object): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.is(Reflect.get(a, key), Reflect.get(b, key)));
}

/** `view`, skipped while its props are the same by reference: for the rows of long lists. */
export function pure<P extends object>(view: (props: P) => ComponentChild): new (props: P) => Component<P> {
  return class Pure extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      return !same(this.props, next);
    }

    override render(): ComponentChild {
      return view(this.props as P);
    }
  };
}
