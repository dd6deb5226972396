// @ts-check
// Small helpers for the document.

/**
 * The element with this id.
 * @param {string} id
 * @returns {any}
 */
export function $(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no #${id}`);
  return found;
}

/**
 * A new element. Text is always text: nothing that comes from outside is read as HTML.
 * @param {string} tag
 * @param {Record<string, any>} [properties] DOM properties; `class`, `aria-*`, `data-*`, `role` and `for` become attributes
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class" || name === "role" || name === "for" || name.startsWith("aria-") || name.startsWith("data-")) {
      element.setAttribute(name, String(value));
    } else {
      Object.assign(element, { [name]: value });
    }
  }
  element.append(...children);
  return element;
}

/**
 * A drawing of 24 x 24 for a button.
 * @param {string} path
 */
export function icon(path) {
  const [picture, line] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  picture.setAttribute("viewBox", "0 0 24 24");
  picture.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  picture.append(line);
  return picture;
}

/**
 * Tell the person something that went wrong.
 * @param {string} sentence
 */
export function complain(sentence) {
  const toasts = $("toasts");
  for (const old of toasts.children) if (old.firstChild?.textContent === sentence) old.remove();
  const close = make("button", { class: "icon", "aria-label": "Dismiss", textContent: "×" });
  const toast = make("div", { class: "toast" }, make("p", { textContent: sentence }), close);
  const remove = () => toast.remove();
  close.addEventListener("click", remove);
  setTimeout(remove, 9000);
  toasts.append(toast);
}

/**
 * Draw a picture onto a canvas of its own size.
 * @param {HTMLCanvasElement} canvas
 * @param {ImageBitmap} picture
 * @param {boolean} [keepSize] stretch the picture to the canvas instead
 */
export function paint(canvas, picture, keepSize = false) {
  if (!keepSize && (canvas.width !== picture.width || canvas.height !== picture.height)) {
    canvas.width = picture.width;
    canvas.height = picture.height;
    canvas.closest("figure")?.style.setProperty("--ratio", String(canvas.width / canvas.height));
  }
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = keepSize ? "low" : "high"; // a picture that is stretched is seen for a moment, and waited for
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
}

/**
 * Hand a file to the person.
 * @param {Blob} content
 * @param {string} name
 */
export function download(content, name) {
  const address = URL.createObjectURL(content);
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
