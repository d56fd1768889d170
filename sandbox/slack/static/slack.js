// The practice Slack's page: renders Block Kit, sends what is typed and pressed, follows the channel by long polling.
const $ = (selector, root = document) => root.querySelector(selector);
const make = (tag, props = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children.filter((c) => c !== null && c !== undefined));
  return element;
};
const post = async (url, body) => (await fetch(url, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)})).json();
const world = await (await fetch('/world')).json();
const params = new URLSearchParams(location.search);
const me = {user: params.get('user') || localStorage.user || world.users[0].id, channel: params.get('channel') || world.channels[0].id};
const names = Object.fromEntries(world.users.map((u) => [u.id, u.name]));
let version = 0;
let shownView = '';

const EMOJI = {bell: '🔔', red_circle: '🔴', white_check_mark: '✅', warning: '⚠️', hourglass_flowing_sand: '⏳', double_vertical_bar: '⏸️'};
const escapeHtml = (text) => text.replace(/[&<>"]/g, (c) => ({'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'})[c]);
function mrkdwn(text) {
  // Slack sends &, < and > of plain text as entities; what is left in angle brackets is markup.
  const html = text.split(/(<[^>]+>)/).map((part) => {
    const date = part.match(/^<!date\^(\d+)\^([^|]*)\|([^>]*)>$/);
    if (date) {
      const at = new Date(date[1] * 1000);
      return escapeHtml(date[2].includes('secs') ? at.toLocaleTimeString() : at.toLocaleTimeString([], {hour: '2-digit', minute: '2-digit'}));
    }
    const user = part.match(/^<@(\w+)/);
    const channel = part.match(/^<#(\w+)/);
    if (channel) return `<b>#${escapeHtml(world.channels.find((c) => c.id === channel[1])?.name || channel[1])}</b>`;
    if (user) return `<b>@${escapeHtml(names[user[1]] || user[1])}</b>`;
    return escapeHtml(part.replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&'));
  }).join('');
  return html.replace(/:([a-z_]+):/g, (all, name) => EMOJI[name] || all)
    .replace(/`([^`]+)`/g, '<code>$1</code>').replace(/\*([^*\n]+)\*/g, '<b>$1</b>')
    .replace(/(^|\s)~([^~\n]+)~/g, '$1<s>$2</s>').replace(/\n/g, '<br>');
}
const rich = (text) => make('div', {innerHTML: text.type === 'mrkdwn' ? mrkdwn(text.text) : escapeHtml(text.text)});

async function confirmed(dialogData) {
  if (!dialogData) return true;
  const dialog = $('#confirm');
  $('h2', dialog).textContent = dialogData.title.text;
  $('p', dialog).innerHTML = mrkdwn(dialogData.text.text);
  const [no, yes] = dialog.querySelectorAll('button');
  no.textContent = dialogData.deny.text;
  yes.textContent = dialogData.confirm.text;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener('close', () => done(dialog.returnValue === 'ok'), {once: true}));
}
const press = async (message, blockId, action, dialogData) => {
  if (await confirmed(dialogData)) await post('/click', {...me, ts: message.ts, action: {...action, block_id: blockId}});
};
function element(message, block, item) {
  if (item.type === 'overflow') {
    const menu = make('details', {className: 'menu'}, make('summary', {textContent: '⋯', ariaLabel: 'More'}));
    menu.append(make('div', {}, ...item.options.map((option) => make('button', {
      textContent: option.text.text,
      onclick: () => { menu.open = false; press(message, block.block_id, {type: 'overflow', action_id: item.action_id, selected_option: option}); },
    }))));
    return menu;
  }
  if (item.type === 'static_select') {
    const list = make('select', {ariaLabel: item.placeholder?.text || 'Choose'}, make('option', {value: '', textContent: item.placeholder?.text || 'Choose'}), ...item.options.map((option) => make('option', {value: option.value, textContent: option.text.text})));
    list.onchange = () => press(message, block.block_id, {type: 'static_select', action_id: item.action_id, selected_option: item.options.find((o) => o.value === list.value)});
    return list;
  }
  const button = make('button', {textContent: item.text.text, className: item.style || ''});
  button.dataset.action = item.action_id;
  button.onclick = () => {
    if (item.url) window.open(item.url, '_blank', 'noopener');
    press(message, block.block_id, {type: 'button', action_id: item.action_id, value: item.value}, item.confirm);
  };
  return button;
}
function block(message, data) {
  if (data.type === 'header') return make('div', {className: 'block header', textContent: data.text.text});
  if (data.type === 'context') return make('div', {className: 'block context'}, ...data.elements.map(rich));
  if (data.type === 'actions') return make('div', {className: 'block actions'}, ...data.elements.map((e) => element(message, data, e)));
  if (data.type === 'table') return make('table', {className: 'block'}, ...data.rows.map((row) => make('tr', {}, ...row.map((cell) => make('td', {textContent: cell.text})))));
  if (data.fields) return make('div', {className: 'block fields'}, ...data.fields.map(rich));
  return make('div', {className: 'block section'}, rich(data.text), data.accessory ? element(message, data, data.accessory) : null);
}
const shortcuts = (type, more) => world.shortcuts.filter((s) => s.type === type).map((s) => make('button', {
  type: 'button', className: 'shortcut', textContent: s.name, title: s.description, onclick: () => post('/shortcut', {...me, ...more, callback_id: s.callback_id}),
}));
function render(messages) {
  const list = $('#messages');
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  list.replaceChildren(...messages.map((message) => {
    const item = make('li');
    const who = make('div', {}, make('span', {className: 'who', textContent: message.bot ? 'Sideroom' : names[message.user] || message.user}));
    if (message.bot) who.append(make('span', {className: 'app', textContent: 'APP'}));
    item.append(who);
    if (!message.bot) who.append(...shortcuts('message', {ts: message.ts}));
    if (message.only_for) item.append(make('div', {className: 'only', textContent: 'Only visible to you'}));
    if (message.blocks && message.blocks.length) item.append(...message.blocks.map((b) => block(message, b)));
    else item.append(make('div', {innerHTML: mrkdwn(message.text)}));
    item.dataset.ts = message.ts;
    return item;
  }));
  if (atEnd) list.scrollTop = list.scrollHeight;
}
function picker(data, item) {
  const list = make('select', {ariaLabel: data.label.text});
  const fill = () => list.replaceChildren(...item.options.map((o) => make('option', {value: o.value, textContent: o.text.text, selected: o.value === item.initial_option?.value})));
  item.options = item.initial_option ? [item.initial_option] : [];
  fill();
  post('/options', {...me, block_id: data.block_id, value: ''}).then((answer) => { if (answer.options.length) { item.options = answer.options; fill(); } });
  return list;
}
function field(data) {
  if (!data.element) return make('div', {}, ...(data.elements || [data.text]).map(rich));
  const item = data.element;
  const box = make('fieldset', {}, make('legend', {textContent: data.label.text}));
  box.dataset.block = data.block_id;
  if (item.type === 'number_input') box.append(make('input', {type: 'number', min: item.min_value, max: item.max_value, value: item.initial_value || '', ariaLabel: data.label.text}));
  else if (item.type === 'plain_text_input') box.append(make('textarea', {rows: 3, maxLength: item.max_length || 3000, value: item.initial_value || '', ariaLabel: data.label.text}));
  else if (item.type === 'external_select') box.append(picker(data, item));
  else if (item.type.endsWith('_select')) box.append(make('select', {ariaLabel: data.label.text}, ...(item.options || [item.initial_option]).map((o) => make('option', {value: o.value, textContent: o.text.text}))));
  else for (const option of item.options) {
    const chosen = item.initial_option?.value === option.value || (item.initial_options || []).some((o) => o.value === option.value);
    box.append(make('label', {}, make('input', {type: item.type === 'checkboxes' ? 'checkbox' : 'radio', name: data.block_id, value: option.value, checked: chosen}), ` ${option.text.text}`));
  }
  box.append(make('div', {className: 'error'}));
  return box;
}
function values(view, root) {
  const out = {};
  for (const data of view.blocks.filter((b) => b.element)) {
    const box = $(`[data-block="${data.block_id}"]`, root);
    const item = data.element;
    const picked = [...box.querySelectorAll('input:checked')].map((input) => item.options.find((o) => o.value === input.value));
    let value = {type: item.type};
    if (item.type === 'radio_buttons') value.selected_option = picked[0] || null;
    else if (item.type === 'checkboxes') value.selected_options = picked;
    else if (item.type.endsWith('_select')) value.selected_option = (item.options || [item.initial_option]).find((o) => o.value === $('select', box).value) || null;
    else value.value = $('input,textarea', box).value || null;
    out[data.block_id] = {[item.action_id]: value};
  }
  return out;
}
function showView(view) {
  const dialog = $('#modal');
  if (!view) { if (dialog.open) dialog.close(); shownView = ''; return; }
  if (view.id === shownView) return;
  shownView = view.id;
  $('h2', dialog).textContent = view.title.text;
  const fields = $('.fields', dialog);
  fields.replaceChildren(...view.blocks.map(field));
  const [cancel, ok] = dialog.querySelectorAll('menu button');
  cancel.textContent = view.close.text;
  ok.textContent = view.submit?.text || '';
  ok.hidden = !view.submit;
  cancel.onclick = () => post('/close', me);
  dialog.oncancel = () => post('/close', me);
  $('form', dialog).onsubmit = async (event) => {
    event.preventDefault();
    const answer = await post('/submit', {...me, values: values(view, fields)});
    for (const box of fields.querySelectorAll('fieldset')) $('.error', box).textContent = (answer.errors || {})[box.dataset.block] || '';
  };
  dialog.showModal();
}
let waiting = new AbortController();
async function follow() {
  for (;;) {
    waiting = new AbortController();
    try {
      const data = await (await fetch(`/channel/${me.channel}?user=${me.user}&since=${version}`, {signal: waiting.signal})).json();
      if (data.version !== version) { version = data.version; render(data.messages); showView(data.views.at(-1)); }
    } catch { if (!waiting.signal.aborted) await new Promise((r) => setTimeout(r, 1000)); }
  }
}
function again() {
  version = -1;
  frame();
  waiting.abort();
}
function frame() {
  $('#user').replaceChildren(...world.users.map((u) => make('option', {value: u.id, textContent: u.name, selected: u.id === me.user})));
  $('#channels').replaceChildren(...world.channels.map((c) => {
    const button = make('button', {textContent: `# ${c.name}`, className: c.private ? 'private' : '', title: c.private ? 'Private channel' : '', onclick: () => { me.channel = c.id; again(); }});
    button.ariaCurrent = String(c.id === me.channel);
    return button;
  }));
  const home = make('button', {textContent: 'Home of the app', onclick: async () => { me.channel = 'home'; again(); await post('/home', me); }});
  home.ariaCurrent = String(me.channel === 'home');
  $('#channels').append(home);
  $('#shortcuts').replaceChildren(...shortcuts('global', {}));
  $('#composer').hidden = me.channel === 'home';
  $('#title').textContent = me.channel === 'home' ? 'Home of the app' : `# ${world.channels.find((c) => c.id === me.channel).name}`;
  localStorage.user = me.user;
}
$('#user').onchange = (event) => { me.user = event.target.value; again(); };
$('#text').oninput = (event) => {
  const typed = event.target.value;
  const found = typed.startsWith('/') ? world.commands.filter((c) => c.command.startsWith(typed.split(' ')[0])) : [];
  $('#hints').hidden = !found.length;
  $('#hints').replaceChildren(...found.map((c) => make('li', {}, make('b', {textContent: c.command}), ` ${c.usage} — ${c.description}`)));
};
$('#composer').onsubmit = async (event) => {
  event.preventDefault();
  const text = $('#text').value;
  if (!text.trim()) return;
  $('#text').value = '';
  $('#hints').hidden = true;
  await post('/type', {...me, text});
};
frame();
follow();
