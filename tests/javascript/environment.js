// Makes the folder of packages that the servers beside this file need, and prints it, for NODE_PATH.
//
//     node environment.js DIR
//
// DIR gets what package-lock.json beside this file names, from npm. It is made once, and again when that changes. Each process
// that finds it missing makes one of its own and puts it in its place whole. Needs Node 18 and npm.
"use strict";

const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

// For a slow line; it takes five seconds on a fast one.
const LIMIT = 240_000;

const WANTED = ["package.json", "package-lock.json"].map((name) => path.join(__dirname, name));

// The lock that an environment was made from is written last.
function isMade(folder) {
  try {
    return fs.readFileSync(path.join(folder, "made-from.json"), "utf8") === fs.readFileSync(WANTED[1], "utf8");
  } catch {
    return false;
  }
}

function make(folder) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  WANTED.forEach((file) => fs.copyFileSync(file, path.join(folder, path.basename(file))));
  const npm = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  // What it tells is no part of what this prints.
  execFileSync("npm", npm, { cwd: folder, stdio: ["ignore", 2, 2], timeout: LIMIT });
  fs.copyFileSync(WANTED[1], path.join(folder, "made-from.json"));
}

function main(folder) {
  if (!isMade(folder)) {
    const own = `${folder}-${process.pid}`;
    try {
      make(own);
      fs.rmSync(folder, { recursive: true, force: true });
      fs.renameSync(own, folder);
    } catch (problem) {
      fs.rmSync(own, { recursive: true, force: true });
      // Where another process was first.
      if (!isMade(folder)) throw problem;
    }
  }
  console.log(path.join(folder, "node_modules"));
}

if (process.argv.length !== 3) {
  console.error("usage: environment.js DIR");
  process.exit(1);
}
try {
  main(path.resolve(process.argv[2]));
} catch (problem) {
  console.error(`no packages: ${problem.message}`);
  process.exit(1);
}
