<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
    xmlns:str="http://exslt.org/strings">
  <xsl:variable name="thousand" select="str:tokenize(str:padding(2000, 'x '))"/>
  <xsl:template match="/">
    <xsl:for-each select="$thousand">
      <xsl:for-each select="$thousand">
        <xsl:for-each select="$thousand">
          <xsl:for-each select="$thousand">
            <xsl:if test="false()"/>
          </xsl:for-each>
        </xsl:for-each>
      </xsl:for-each>
    </xsl:for-each>
  </xsl:template>
</xsl:stylesheet>
