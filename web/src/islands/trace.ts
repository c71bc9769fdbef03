export default function mount(_: HTMLElement): void {}
