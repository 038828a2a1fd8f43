// Renders with the npm package carbone. One order per line on standard input:
//   {"template": path, "data": [...], "convertTo": "pdf" or null, "target": path}
// answered by {"walls": [seconds of each]}; the last document is written to `target`. The first line of the output
// tells the version. LibreOffice runs as carbone wants it: one process, started once, kept for all conversions.
'use strict';

const fs = require('fs');
const readline = require('readline');
const carbone = require('carbone');
const converter = require('carbone/lib/converter');

const folder = process.argv[2];
carbone.set({ tempPath: folder, renderPath: folder, templatePath: folder, factories: 1, startFactory: true });
console.log(JSON.stringify({ version: require('carbone/package.json').version }));

function render(order, data) {
  const options = order.convertTo ? { convertTo: order.convertTo } : {};
  return new Promise((resolve, reject) => {
    carbone.render(order.template, data, options, (error, content) => error ? reject(error) : resolve(content));
  });
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    const walls = [];
    let content;
    try {
      for (const data of order.data) {
        const begin = process.hrtime.bigint();
        content = await render(order, data);
        walls.push(Number(process.hrtime.bigint() - begin) / 1e9);
      }
      fs.writeFileSync(order.target, content);
      console.log(JSON.stringify({ walls }));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error) }));
    }
  }
  converter.exit(() => process.exit(0));
}

main();
