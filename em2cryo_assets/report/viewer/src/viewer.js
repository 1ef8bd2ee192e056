// The cell that turns: one closed mesh, optionally cut open at its mid-plane, in an orthographic view with a scale bar.
// Belongs here: WebGL and its pointer and keyboard handling. Does not belong here: the rest of the page (../page.js).

import {
  BufferAttribute, BufferGeometry, DoubleSide, LinearFilter, Mesh, MeshBasicMaterial, NearestFilter, OrthographicCamera,
  PlaneGeometry, Quaternion, Scene, ShaderMaterial, SRGBColorSpace, TextureLoader, Vector3, WebGLRenderer,
} from "three";

const VERTEX = `
varying vec3 vNormal; varying float vDepth;
void main() {
  vNormal = normalMatrix * normal; vDepth = position.z;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;

// Secondary electrons: the yield grows as (1 / cos theta)^n, so edges are bright. A weak key light lets the eye read the turn.
const FRAGMENT = `
varying vec3 vNormal; varying float vDepth;
uniform bool uCut; uniform float uPlane;
void main() {
  if (uCut && vDepth > uPlane) discard;
  vec3 n = normalize(vNormal);
  if (!gl_FrontFacing) {
    float inner = 0.16 + 0.24 * clamp(-n.z, 0.0, 1.0);
    gl_FragColor = vec4(inner * 1.35, inner * 1.02, inner * 0.62, 1.0);
    return;
  }
  float edge = pow(1.0 / (abs(n.z) + 0.12), 0.7);
  float key = dot(n, normalize(vec3(-0.5, 0.6, 0.62)));
  float grey = 0.06 + 0.17 * edge + 0.36 * max(key, -0.35);
  gl_FragColor = vec4(vec3(clamp(grey, 0.05, 1.0)) * vec3(1.0, 0.985, 0.955), 1.0);
}`;

const decode = (text, Type) => {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new Type(bytes.buffer);
};

const niceLength = (limit) => {
  const decade = 10 ** Math.floor(Math.log10(limit));
  return [5, 2, 1].map((step) => step * decade).find((length) => length <= limit) || decade;
};

class Viewer {
  constructor(box) {
    this.canvas = box.querySelector("canvas");
    this.bar = box.querySelector(".bar");
    this.renderer = new WebGLRenderer({ canvas: this.canvas, antialias: true, alpha: true, preserveDrawingBuffer: true });
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio || 1, 2));
    this.scene = new Scene();
    this.camera = new OrthographicCamera(-1, 1, 1, -1, 0.1, 10);
    this.camera.position.z = 5;
    this.surface = new ShaderMaterial({
      vertexShader: VERTEX, fragmentShader: FRAGMENT, side: DoubleSide,
      uniforms: { uCut: { value: false }, uPlane: { value: 0 } },
    });
    this.face = new Mesh(new PlaneGeometry(1, 1), new MeshBasicMaterial({ side: DoubleSide, alphaTest: 0.5 }));
    this.body = null;
    this.zoom = 1;
    this.turning = !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.listen();
    new ResizeObserver(() => this.resize()).observe(this.canvas);
    this.resize();
    document.addEventListener("visibilitychange", () => this.start());
    new IntersectionObserver((seen) => { this.visible = seen[0].isIntersecting; this.start(); }).observe(this.canvas);
  }

  show(cell) {
    if (this.body) { this.scene.remove(this.body); this.body.geometry.dispose(); }
    const geometry = new BufferGeometry();
    const steps = decode(cell.positions, Int16Array), at = new Float32Array(steps.length);
    for (let i = 0; i < steps.length; i++) at[i] = steps[i] * cell.step_nm + cell.centre_nm[i % 3];
    geometry.setAttribute("position", new BufferAttribute(at, 3));
    geometry.setIndex(new BufferAttribute(decode(cell.faces, Uint32Array), 1));
    geometry.computeVertexNormals();
    geometry.computeBoundingBox();
    const middle = geometry.boundingBox.getCenter(new Vector3());
    geometry.computeBoundingSphere();
    this.extent = 2.16 * geometry.boundingSphere.radius; // whole in view whichever way it is turned
    this.body = new Mesh(geometry, this.surface);
    this.body.scale.setScalar(1 / this.extent);
    this.body.add(this.face);
    this.middle = middle;
    this.planes = cell.planes;
    this.scene.add(this.body);
    this.reset();
    this.resize();
    this.start();
  }

  setFace(id) {
    const plane = (this.planes || []).find((one) => one.id === id);
    this.face.visible = Boolean(plane) && this.surface.uniforms.uCut.value;
    if (!plane) { this.draw(); return; }
    this.surface.uniforms.uPlane.value = plane.z_nm;
    const texture = new TextureLoader().load(plane.image, () => this.draw());
    texture.colorSpace = SRGBColorSpace;
    texture.magFilter = plane.crisp ? NearestFilter : LinearFilter;
    texture.generateMipmaps = false;
    texture.minFilter = LinearFilter;
    if (this.face.material.map) this.face.material.map.dispose();
    this.face.material.map = texture;
    this.face.material.needsUpdate = true;
    this.face.scale.set(plane.width_nm, plane.height_nm, 1);
    this.face.position.set(plane.x_nm, plane.y_nm, plane.z_nm);
    this.draw();
  }

  setCut(open, id) { this.surface.uniforms.uCut.value = open; this.setFace(id); }

  setTurning(on) {
    this.turning = on;
    this.canvas.dispatchEvent(new CustomEvent("turning", { detail: on }));
    this.start();
  }

  reset() {
    this.zoom = 1;
    this.body.quaternion.identity();
    this.turn(0.35, -0.5);
  }

  turn(downward, rightward) {
    if (!this.body) return;
    const step = new Quaternion().setFromAxisAngle(new Vector3(0, 1, 0), rightward)
      .multiply(new Quaternion().setFromAxisAngle(new Vector3(1, 0, 0), downward));
    this.body.quaternion.premultiply(step).normalize();
    this.draw();
  }

  magnify(factor) { this.zoom = Math.min(12, Math.max(0.4, this.zoom * factor)); this.resize(); }

  resize() {
    const width = this.canvas.clientWidth || 1, height = this.canvas.clientHeight || 1;
    this.renderer.setSize(width, height, false);
    const half = 0.5 / this.zoom, aspect = width / height;
    const across = aspect >= 1 ? half * aspect : half, up = aspect >= 1 ? half : half / aspect;
    Object.assign(this.camera, { left: -across, right: across, top: up, bottom: -up });
    this.camera.updateProjectionMatrix();
    if (this.extent) {
      const nmPerPixel = (2 * across * this.extent) / width, length = niceLength(nmPerPixel * width * 0.3);
      this.bar.style.width = `${length / nmPerPixel}px`;
      this.bar.dataset.length = length < 1000 ? `${length} nm` : `${length / 1000} µm`;
    }
    this.draw();
  }

  draw() {
    if (!this.body) return;
    this.body.position.copy(this.middle).multiplyScalar(-1 / this.extent).applyQuaternion(this.body.quaternion);
    this.renderer.render(this.scene, this.camera);
  }

  start() {
    if (this.running || !this.turning) return;
    this.running = true;
    let last = performance.now();
    const step = (now) => {
      if (!this.turning || document.hidden || this.visible === false) { this.running = false; return; }
      this.turn(0, Math.min(0.1, (now - last) / 1000 * 0.35));
      last = now;
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  listen() {
    const canvas = this.canvas;
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      from = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      this.setTurning(false);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      this.turn((event.clientY - from[1]) * 0.01, (event.clientX - from[0]) * 0.01);
      from = [event.clientX, event.clientY];
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { from = null; });
    // The wheel scrolls the page until the reader has taken hold of the cell.
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas) return;
      event.preventDefault();
      this.magnify(Math.exp(-event.deltaY * 0.0012));
    }, { passive: false });
    const keys = {
      ArrowLeft: () => this.turn(0, -0.12), ArrowRight: () => this.turn(0, 0.12),
      ArrowUp: () => this.turn(-0.12, 0), ArrowDown: () => this.turn(0.12, 0),
      "+": () => this.magnify(1.15), "=": () => this.magnify(1.15), "-": () => this.magnify(1 / 1.15),
      Home: () => { this.reset(); this.resize(); },
    };
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === " ") { event.preventDefault(); this.setTurning(!this.turning); return; }
      const act = keys[event.key];
      if (!act) return;
      event.preventDefault();
      this.setTurning(false);
      act();
    });
  }
}

window.EM2CryoViewer = Viewer;
