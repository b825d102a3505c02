<?xml version="1.0" encoding="UTF-8"?>
<!-- The catalogue as a page; the link `xslt` of the chain applies it (docs/middleware.md). -->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="html" encoding="UTF-8" doctype-system="about:legacy-compat"/>

  <xsl:template match="/catalogue">
    <html lang="en">
      <head>
        <title><xsl:value-of select="@title"/></title>
        <meta name="viewport" content="width=device-width, initial-scale=1"/>
        <style>
          :root { color-scheme: light dark; --ink: #1d3b4f; --rule: #b9cad4; --paper: #f6f9fa; }
          @media (prefers-color-scheme: dark) {
            :root { --ink: #d3e3ec; --rule: #3c5361; --paper: #14212a; }
          }
          body {
            background: var(--paper); color: var(--ink); font: 1.05rem/1.6 system-ui, sans-serif;
            margin: 0 auto; max-width: 46rem; padding: 3rem 1.25rem;
          }
          h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .25rem; }
          p { margin: 0 0 2rem; opacity: .75; }
          table { border-collapse: collapse; width: 100%; }
          th, td { border-bottom: 1px solid var(--rule); padding: .6rem .75rem .6rem 0; text-align: left; }
          thead th { font-size: .8rem; letter-spacing: .06em; text-transform: uppercase; }
          @media (max-width: 32rem) {
            body { font-size: .875rem; }
            th, td { padding-right: .4rem; }
            thead th { letter-spacing: 0; }
          }
          .year { font-variant-numeric: tabular-nums; padding-right: 0; text-align: right; }
        </style>
      </head>
      <body>
        <h1><xsl:value-of select="@title"/></h1>
        <p><xsl:value-of select="count(bridge)"/> bridges that a counterweight opens, oldest first.</p>
        <table>
          <thead>
            <tr><th>Bridge</th><th>Town</th><th>Water</th><th class="year">Opened</th></tr>
          </thead>
          <tbody>
            <xsl:apply-templates select="bridge">
              <xsl:sort select="year" data-type="number"/>
            </xsl:apply-templates>
          </tbody>
        </table>
      </body>
    </html>
  </xsl:template>

  <xsl:template match="bridge">
    <tr>
      <th scope="row"><xsl:value-of select="name"/></th>
      <td><xsl:value-of select="town"/></td>
      <td><xsl:value-of select="water"/></td>
      <td class="year"><xsl:value-of select="year"/></td>
    </tr>
  </xsl:template>
</xsl:stylesheet>
